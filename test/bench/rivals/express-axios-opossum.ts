// What a team writes by hand on a good afternoon: express, axios, opossum, prom-client, a log line. For comparison only.

import { Agent } from 'node:http'
import axios from 'axios'
import express from 'express'
import CircuitBreaker from 'opossum'
import { pino } from 'pino'
import { Counter, Histogram } from 'prom-client'

interface Ask {
  url: string
  method?: string
  headers?: Record<string, string>
  json?: unknown
}

const log = pino()
const client = axios.create({
  httpAgent: new Agent({ keepAlive: true, maxSockets: 128 }),
  timeout: 10_000,
  validateStatus: () => true,
})
const breaker = new CircuitBreaker(
  (ask: Ask) => client.request({ url: ask.url, method: ask.method ?? 'GET', headers: ask.headers ?? {}, data: ask.json }),
  { timeout: 30_000 },
)
const calls = new Counter({ name: 'calls_total', help: 'calls', labelNames: ['status'] })
const seconds = new Histogram({ name: 'call_seconds', help: 'seconds', labelNames: ['status'] })

const app = express()
app.use(express.json({ limit: '10mb' }))
app.post('/v1/requests', async (request, response) => {
  const started = performance.now()
  const ask = request.body as Ask
  try {
    const answer = await breaker.fire(ask)
    response.json({ ok: answer.status < 400, status: answer.status, headers: answer.headers, json: answer.data })
    calls.inc({ status: answer.status })
    seconds.observe({ status: answer.status }, (performance.now() - started) / 1000)
    log.info({ url: ask.url, status: answer.status, ms: performance.now() - started }, 'call')
  } catch (error) {
    response.status(502).json({ ok: false, error: String(error) })
  }
})
const server = app.listen(0, '127.0.0.1', () => process.send?.({ port: (server.address() as { port: number }).port }))
process.on('disconnect', () => process.exit(0))
