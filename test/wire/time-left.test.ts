// The time that the caller itself still has, told in X-Sallyport-Timeout, and passed on to upstreams that want to know.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { createRudeUpstream, type RudeUpstream } from '../support/rude-upstream.ts'
import { createScriptedUpstream, type ScriptedUpstream } from '../support/scripted-upstream.ts'
import { loopbackAdapter, startStopwatch } from '../support/wire.ts'

describe('X-Sallyport-Timeout', () => {
  let rude: RudeUpstream
  let upstream: ScriptedUpstream
  let gateway: TestGateway
  const within = (left: string, url: string) => gateway.call({ url }, { headers: { 'x-sallyport-timeout': left } })
  before(async () => {
    rude = await createRudeUpstream({})
    upstream = await createScriptedUpstream()
    gateway = await startGateway({
      adapters: [
        loopbackAdapter('rude', rude.origin, { timeout: { read: '5s', total: '5s' } }),
        loopbackAdapter('telling', upstream.origin, { timeoutHeader: 'X-Request-Timeout-Ms', timeout: { total: '5s' } }),
      ],
    })
  })
  after(async () => {
    await gateway.stop()
    await rude.close()
    await upstream.close()
  })

  for (const left of ['200', '200ms', '0.2s'])
    it(`${left} ends the call after 200 ms, whatever the adapter allows`, async () => {
      const watch = startStopwatch()
      const { status, envelope } = await within(left, `${rude.origin}/stalls-before-headers`)
      watch.assertEndedAfter(190) // what came before the call began is taken off
      assert.equal(status, 504)
      assert.equal(envelope.error.type, 'Timeout')
      assert.match(envelope.error.message, /^X-Sallyport-Timeout of \d+ ms ran out during try 1/)
    })

  it('0 is refused before anything is sent', async () => {
    const { status, envelope } = await within('0', `${upstream.origin}/`)
    assert.equal(status, 504)
    assert.deepEqual([envelope.error.type, envelope.error.sent, envelope.attempts.length], ['Timeout', 'no', 0])
    assert.match(envelope.error.message, /^X-Sallyport-Timeout of 0 ms had run out before the call could begin/)
    assert.equal(upstream.received.length, 0)
  })

  for (const wrong of ['3.05', '-1', 'soon', ''])
    it(`"${wrong}" is refused by name`, async () => {
      const { status, envelope } = await within(wrong, `${upstream.origin}/`)
      assert.equal(status, 400)
      assert.equal(envelope.error.type, 'InvalidHeader')
      assert.match(envelope.error.message, /^X-Sallyport-Timeout must be a whole number of milliseconds/)
    })

  it('the header itself stays here, and what is left is passed on under the name that the adapter gives', async () => {
    await within('3s', `${upstream.origin}/`)
    const headers = Object.fromEntries(upstream.last().headers.map(([name, value]) => [name.toLowerCase(), value]))
    const told = Number(headers['x-request-timeout-ms'])
    assert.ok(told > 1000 && told <= 3000, `${told}`)
    assert.equal(headers['x-sallyport-timeout'], undefined)
  })
})
