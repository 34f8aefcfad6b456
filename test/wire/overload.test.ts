// The gateway's own overload: calls are shed, what operators need goes on.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { createRudeUpstream, type RudeUpstream } from '../support/rude-upstream.ts'
import { loopbackAdapter, metric, until } from '../support/wire.ts'

describe('with as many requests under way as overload.calls', () => {
  let upstream: RudeUpstream
  let gateway: TestGateway
  const held = new AbortController()
  let waiting: Promise<unknown>[] = []
  before(async () => {
    upstream = await createRudeUpstream({})
    gateway = await startGateway({
      adapters: [loopbackAdapter('rude', upstream.origin, { timeout: { read: '20s', total: '20s' } })],
      config: { overload: { calls: 2 } },
    })
    const url = `${upstream.origin}/stalls-before-headers`
    waiting = [0, 1].map(() => gateway.call({ url }, { signal: held.signal }).catch(() => null))
    await until('both calls wait for the upstream', () => upstream.received.length === 2)
  })
  after(async () => {
    held.abort()
    await Promise.all(waiting)
    await gateway.stop()
    await upstream.close()
  })

  it('a further call is Overloaded, at once and with a time to come back, and nothing is sent', async () => {
    const { status, headers, envelope } = await gateway.call({ url: `${upstream.origin}/` })
    assert.deepEqual([status, headers['retry-after']], [503, '1'])
    const { type, sent, retryable, retryAfter } = envelope.error
    assert.deepEqual([type, sent, retryable, retryAfter], ['Overloaded', 'no', true, 1000])
    assert.equal(upstream.received.length, 2)
  })

  it('a batch is shed whole', async () => {
    const { status, envelope } = await gateway.post('/v1/batch', JSON.stringify({ requests: [{ url: `${upstream.origin}/` }] }))
    assert.equal(status, 503)
    assert.equal(envelope.error.type, 'Overloaded')
  })

  it('a flood of refusals has few lines in the log, all of them in the metrics, and none in the audit trail', async () => {
    const before = metric(await gateway.metrics(), 'sallyport_refusals_total', { rule: 'overload' })
    const records = gateway.audit().length
    const linesBefore = gateway.logs().split('\n').length
    for (let i = 0; i < 200; i++) await gateway.call({ url: `${upstream.origin}/` })
    assert.equal(metric(await gateway.metrics(), 'sallyport_refusals_total', { rule: 'overload' }) - before, 200)
    assert.equal(gateway.audit().length, records)
    const counted = (): number =>
      gateway
        .logs()
        .split('\n')
        .slice(linesBefore - 1, -1)
        .map((line) => JSON.parse(line))
        .reduce((sum, { event, count }) => sum + (event === 'calls shed' ? count : event === 'call' ? 1 : 0), 0)
    await until('each is told, alone or by its number', () => counted() >= 200)
    assert.ok(gateway.logs().split('\n').length - linesBefore < 20)
  })

  for (const path of ['/healthz', '/readyz', '/metrics', '/openapi.json', '/v1/admin/adapters'])
    it(`${path} still answers`, async () => {
      assert.equal((await gateway.get(path)).status, 200)
    })
})
