import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import { egress } from '../../../src/layers/egress.ts'
import type { HopRequest } from '../../../src/model/hop.ts'
import { aContext, anAdapter, aPlan, aRequest, aResponse } from '../../support/builders.ts'
import { scripted } from '../../support/scripted-dispatch.ts'

const KEY = 'gk_live_1234567890'

function send(request: HopRequest, context = aContext()) {
  const upstream = scripted(aResponse())
  const keys = { isKey: (value: string) => value.includes(KEY) }
  return { upstream, result: egress({ keys })(upstream.dispatch)(request, context) }
}

test('what every rule allows goes on as it is', async () => {
  const request = aRequest({ headers: [['Accept', '*/*']] })
  const { upstream, result } = send(request)
  assert.equal((await result).status, 200)
  assert.equal(upstream.asked[0], request)
})

test('a refusal names host and rule, and nothing goes on', async () => {
  const { upstream, result } = send(aRequest({ plan: aPlan({ adapter: anAdapter({ methods: ['POST'] }) }) }))
  await assert.rejects(result, {
    type: 'Forbidden',
    message: /^https:\/\/api\.example\.com: adapter "example" does not take GET/,
  })
  assert.equal(upstream.asked.length, 0)
})

test("a hop that the caller's policy does not cover is refused", async () => {
  const caller = { name: 'billing', admin: false, may: [{ adapter: 'other', methods: null, paths: null }] }
  await assert.rejects(send(aRequest(), aContext({ caller })).result, { type: 'Forbidden', message: /caller "billing"/ })
})

test('a port outside egress.ports is EgressDenied', async () => {
  const adapter = anAdapter({ egress: { allow: [], allowMetadata: [], ports: [8443], mixedAnswers: 'refuse' } })
  await assert.rejects(send(aRequest({ plan: aPlan({ adapter }) })).result, { type: 'EgressDenied' })
})

test('a gateway key in any header to be forwarded is refused, named by header and not by value', async () => {
  const { upstream, result } = send(
    aRequest({
      headers: [
        ['X-Api-Key', 'fine'],
        ['X-Token', KEY],
      ],
    }),
  )
  await assert.rejects(result, (error: unknown) => {
    assert.ok(error instanceof GatewayError)
    assert.equal(error.type, 'Forbidden')
    assert.match(error.message, /the header X-Token holds a key to this gateway/)
    assert.doesNotMatch(error.message, new RegExp(KEY))
    return true
  })
  assert.equal(upstream.asked.length, 0)
})

for (const auth of [
  { type: 'bearer', token: KEY },
  { type: 'basic', username: 'u', password: KEY },
  { type: 'digest', username: 'u', password: KEY },
  { type: 'header', name: 'X', value: KEY },
  { type: 'query', name: 'k', value: KEY },
] as const) {
  test(`a gateway key given as auth of type ${auth.type} is refused`, async () => {
    const { result } = send(aRequest({ plan: aPlan({ credential: { kind: 'given', auth } }) }))
    await assert.rejects(result, { type: 'Forbidden', message: /^`auth` holds a key/ })
  })
}
