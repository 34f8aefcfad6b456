// What a team writes by hand that minds the cost: fastify, undici, opossum, prom-client, a log line. For comparison only.

import fastify from 'fastify'
import CircuitBreaker from 'opossum'
import { pino } from 'pino'
import { Counter, Histogram } from 'prom-client'
import { Agent, request as send } from 'undici'

interface Ask {
  url: string
  method?: string
  headers?: Record<string, string>
  json?: unknown
}

const log = pino()
const agent = new Agent({ connections: 128, headersTimeout: 10_000, bodyTimeout: 10_000 })

async function call({ url, method = 'GET', headers = {}, json }: Ask) {
  const answer = await send(url, {
    dispatcher: agent,
    method,
    headers: json === undefined ? headers : { 'content-type': 'application/json', ...headers },
    body: json === undefined ? null : JSON.stringify(json),
  })
  return { status: answer.statusCode, headers: answer.headers, json: await answer.body.json() }
}

const breaker = new CircuitBreaker(call, { timeout: 30_000 })
const calls = new Counter({ name: 'calls_total', help: 'calls', labelNames: ['status'] })
const seconds = new Histogram({ name: 'call_seconds', help: 'seconds', labelNames: ['status'] })

const app = fastify({ bodyLimit: 10_000_000 })
app.post('/v1/requests', async (request, reply) => {
  const started = performance.now()
  const ask = request.body as Ask
  try {
    const { status, headers, json } = await breaker.fire(ask)
    calls.inc({ status })
    seconds.observe({ status }, (performance.now() - started) / 1000)
    log.info({ url: ask.url, status, ms: performance.now() - started }, 'call')
    return { ok: status < 400, status, headers, json }
  } catch (error) {
    return reply.code(502).send({ ok: false, error: String(error) })
  }
})
const { port } = new URL(await app.listen({ port: 0, host: '127.0.0.1' }))
process.send?.({ port: Number(port) })
process.on('disconnect', () => process.exit(0))
