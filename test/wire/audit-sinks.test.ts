import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { CANARY_TOKEN } from '../support/canary.ts'
import { startRedis } from '../support/redis.ts'
import { setScene } from '../support/scene.ts'

async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  for (let i = 0; i < 400; i++) {
    if (await condition()) return
    await sleep(10)
  }
  assert.fail('not within four seconds')
}

async function aCollector(t: TestContext) {
  const state = { status: 200, lines: [] as Record<string, unknown>[], keys: new Set<unknown>() }
  const server = createServer(async (request, response) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    if (state.status === 200) {
      for (const line of Buffer.concat(chunks).toString().trimEnd().split('\n')) state.lines.push(JSON.parse(line))
      state.keys.add(request.headers.authorization)
    }
    response.writeHead(state.status).end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { state, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/in` }
}

test('a collector gets every record of a call; while it fails calls go on and the lag is told', {
  timeout: 20_000,
}, async (t) => {
  const { state, url } = await aCollector(t)
  const sinks = [{ name: 'siem', type: 'http', url, headers: { Authorization: `$\{SIEM}` } }]
  const { gateway, at } = await setScene(t, { config: { audit: { sinks } }, env: { SIEM: `Bearer ${CANARY_TOKEN}` } })
  await gateway.call({ url: at('/one') })
  await until(() => state.lines.length === 2)
  assert.deepEqual(
    state.lines.map(({ event, kind, seq }) => [event, kind, seq]),
    [
      ['audit', 'intent', 1],
      ['audit', 'result', 2],
    ],
  )
  assert.deepEqual([...state.keys], [`Bearer ${CANARY_TOKEN}`])
  state.status = 503
  assert.equal((await gateway.call({ url: at('/two') })).envelope.status, 200)
  const failed = /sallyport_audit_shipment_failures_total\{sink="siem",outcome="failed"\} [1-9]/
  await until(async () => failed.test(await gateway.metrics()))
  const metrics = await gateway.metrics()
  assert.match(metrics, /sallyport_audit_lag_records\{sink="siem"\} 2\n/)
  assert.match(metrics, /sallyport_audit_shipped_records_total\{sink="siem"\} 2\n/)
  assert.match(metrics, /sallyport_audit_lag_seconds\{sink="siem"\} [0-9.]+/)
  state.status = 200
  await until(() => state.lines.length >= 4)
  const { envelope: config } = await gateway.get('/v1/admin/config')
  assert.deepEqual(config.config.audit.sinks, [
    { name: 'siem', batch: 500, type: 'http', url, headers: { Authorization: '***' }, ca: null },
  ])
})

test('with Redis the records are a stream for the group that is named', {
  timeout: 20_000,
}, async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const stream = { group: 'siem' }
  const { gateway, at } = await setScene(t, { config: { store: { redis: redis.url }, audit: { stream } } })
  await gateway.call({ url: at('/one') })
  await until(async () => /sallyport_audit_shipped_records_total\{sink="stream"\} 2\n/.test(await gateway.metrics()))
  assert.equal(await redis.command('XLEN', 'sallyport:audit'), 2)
  assert.match(JSON.stringify(await redis.command('XINFO', 'GROUPS', 'sallyport:audit')), /siem/)
})
