// What a token request looks like as a call of the gateway's own, where it is not made, and what of its envelope is told.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createTokenExchange, rehearseTokenExchange } from '../../../src/credentials/token-exchange.ts'
import type { AdapterPolicy } from '../../../src/model/adapter-policy.ts'
import type { TokenRequest } from '../../../src/model/credential-scheme.ts'
import type { IncomingCall } from '../../../src/model/gateway-port.ts'
import { anAdapter } from '../../support/builders.ts'
import { createFakeClock, settle } from '../../support/fake-clock.ts'

const ON = { credential: 'crm', requestId: 'r-1' }
const REQUEST: TokenRequest = {
  url: 'https://auth.example.com/token',
  form: [
    ['grant_type', 'client_credentials'],
    ['scope', 'a b'],
  ],
  basic: { username: 'id', password: 'secret' },
}

function scene(envelope: object, adapter: AdapterPolicy | null = anAdapter({ name: 'auth' })) {
  const calls: IncomingCall[] = []
  const clock = createFakeClock()
  let finish = (): void => {}
  const held = new Promise<void>((resolve) => {
    finish = resolve
  })
  const { exchange, close } = createTokenExchange({
    gateway: {
      async call(incoming) {
        calls.push(incoming)
        await held
        const text = Buffer.from(JSON.stringify(envelope))
        return { status: 200, retryAfterSeconds: null, body: [text.subarray(0, 5), text.subarray(5)] }
      },
    },
    mountedOn: () => adapter,
    clock,
  })
  return { calls, clock, exchange, close, finish }
}

const OK = { status: 200, base64: Buffer.from('{"access_token":"t"}').toString('base64'), error: null }

describe('the call', () => {
  test('is a POST of the form, without a credential of the adapter’s, that follows no redirect', async () => {
    const { calls, exchange, finish } = scene(OK)
    finish()
    const answer = await exchange(REQUEST, ON)
    assert.deepEqual(answer, { kind: 'answer', status: 200, body: Buffer.from('{"access_token":"t"}') })
    const [call] = calls
    assert.deepEqual(JSON.parse(String(call?.body)), {
      ...{ url: REQUEST.url, method: 'POST', headers: { Accept: 'application/json' }, data: REQUEST.form },
      ...{ auth: { type: 'basic', username: 'id', password: 'secret' }, allowRedirects: false },
      ...{ decode: 'base64', maxResponseSize: 65_536, tags: { secret: 'crm' } },
    })
    assert.equal(call?.requestId, 'r-1-token')
    assert.equal(call?.entrance, 'token')
    assert.deepEqual(call?.caller, { name: '(credentials)', admin: false, may: null })
    await exchange({ ...REQUEST, basic: null }, ON)
    assert.equal(JSON.parse(String(calls[1]?.body)).auth, null)
  })

  test('that must go out once is not repeated, whatever the adapter allows', async () => {
    const { calls, exchange, finish } = scene(OK)
    finish()
    await exchange({ ...REQUEST, once: true }, ON)
    assert.deepEqual(JSON.parse(String(calls[0]?.body)).maxRetries, { total: 0, allowedMethods: [] })
  })

  test('is ended, and waited for, by whoever shuts down; then none is made', async () => {
    const { calls, clock, exchange, close, finish } = scene(OK)
    const asked = exchange(REQUEST, ON)
    let closed = false
    const closing = close().then(() => {
      closed = true
    })
    assert.equal(calls[0]?.cancellation.reason?.type, 'Draining')
    await settle()
    assert.equal(closed, false)
    finish()
    await asked
    await closing
    assert.equal(clock.pending, 0)
    const late = await exchange(REQUEST, ON)
    assert.deepEqual(
      [late.kind === 'none' && [late.because, late.sent], calls.length],
      [['the gateway is shutting down', 'no'], 1],
    )
  })

  test('that cannot be made again is waited for by whoever shuts down, for five seconds', async () => {
    const { calls, clock, exchange, close, finish } = scene(OK)
    void exchange({ ...REQUEST, once: true }, ON)
    const closing = close()
    await clock.advance(4999)
    assert.equal(calls[0]?.cancellation.reason ?? null, null)
    await clock.advance(1)
    assert.equal(calls[0]?.cancellation.reason?.type, 'Draining')
    finish()
    await closing
  })

  test('where it fails, callers hear its kind alone', async () => {
    const { exchange, finish } = scene({
      status: null,
      error: { type: 'EgressDenied', message: '10.0.0.1 is private', sent: 'no' },
    })
    finish()
    assert.deepEqual(await exchange(REQUEST, ON), {
      kind: 'none',
      because: 'its token endpoint could not be asked (EgressDenied)',
      privateDetail: '10.0.0.1 is private',
      sent: 'no',
    })
  })

  test('an answer without a body is one', async () => {
    const { exchange, finish } = scene({ status: 204, error: null })
    finish()
    assert.deepEqual(await exchange(REQUEST, ON), { kind: 'answer', status: 204, body: Buffer.alloc(0) })
  })
})

const { tls } = anAdapter()
const http = { name: 'auth', mount: 'http://auth.example.com/' }
const PLACES: [name: string, adapter: AdapterPolicy | null, refusal: RegExp | null][] = [
  ['without an adapter', null, /no adapter is mounted/],
  ['over plain http', anAdapter(http), /plain http.*allowPlaintextSecrets on adapter "auth"/],
  ['over plain http where the adapter says so', anAdapter({ ...http, allowPlaintextSecrets: true }), null],
  ['to an unverified certificate', anAdapter({ tls: { ...tls, verify: false } }), /not verified.*allowInsecureSecrets/],
  [
    'to an unverified certificate where the adapter says so',
    anAdapter({ tls: { ...tls, verify: false, allowInsecureSecrets: true } }),
    null,
  ],
]

describe('where it is not made', () => {
  for (const [name, adapter, refusal] of PLACES)
    test(name, async () => {
      const { calls, exchange, finish } = scene(OK, adapter)
      finish()
      const answers = [await exchange(REQUEST, ON), await rehearseTokenExchange(() => adapter)(REQUEST, ON)]
      for (const answer of answers) {
        assert.equal(answer.kind, refusal ? 'none' : 'answer')
        if (refusal && answer.kind === 'none') assert.match(answer.because, refusal)
      }
      assert.equal(calls.length, refusal ? 0 : 1)
    })
})
