// How long a token serves, who waits for the next one, and what is told where there is none.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { renewByAsking } from '../../../src/credentials/renew-by-asking.ts'
import { openTokenCredential } from '../../../src/credentials/token.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import type { TokenAnswer, TokenRequest } from '../../../src/model/credential-scheme.ts'
import type { HopRequest } from '../../../src/model/hop.ts'
import { aMeter, aPlan, aRequest, aResponse } from '../../support/builders.ts'
import { createFakeClock, settle } from '../../support/fake-clock.ts'
import { anErrand, tokenPorts } from '../../support/token-ports.ts'

const REQUEST: TokenRequest = { url: 'https://auth.example.com/token', form: [], basic: null }
const answer = (fields: object, status = 200): TokenAnswer => ({
  kind: 'answer',
  status,
  body: Buffer.from(JSON.stringify(fields)),
})

/** A credential whose endpoint answers when the test says so. */
function scene(compose: () => TokenRequest | Promise<TokenRequest> = () => REQUEST) {
  const clock = createFakeClock()
  const asked: ((answer: TokenAnswer) => Promise<void>)[] = []
  const credential = openTokenCredential('oauth2-client-credentials', renewByAsking(compose))
  const meter = aMeter()
  const logged: unknown[] = []
  const exchange = (): Promise<TokenAnswer> =>
    new Promise((resolve) => {
      asked.push((given) => {
        resolve(given)
        return settle()
      })
    })
  const errand = anErrand(tokenPorts({ clock, exchange, meter, log: { log: (...line) => void logged.push(line) } }))
  return {
    clock,
    credential,
    asked,
    meter,
    logged,
    obtain: () => credential.obtain?.(errand, aRequest()) ?? null,
    /** Waits for what is under way, the n-th request answered with token `t{n}`. */
    async get(fields: object = { expires_in: 3600 }): Promise<void> {
      const waited = credential.obtain?.(errand, aRequest())
      await settle()
      await asked.at(-1)?.(answer({ access_token: `t${asked.length}`, token_type: 'Bearer', ...fields }))
      await waited
    },
    sent: (request: HopRequest = aRequest()) => credential.inject(request).headers[0]?.value,
    refused: (request: HopRequest, answered = 0) =>
      credential.dialogue?.heard(request, aResponse({ status: 401 }), answered) === 'renewed',
  }
}

const fails = (message: RegExp, privateDetail?: string) => (error: unknown) => {
  assert.ok(error instanceof GatewayError && error.type === 'CredentialUnavailable', String(error))
  assert.match(error.message, message)
  assert.match(error.message, /^secret "it" is not available: .*; the call was not made without it$/)
  assert.equal(error.retryAfter, 1000)
  if (privateDetail !== undefined) assert.equal(error.privateDetail, privateDetail)
  return true
}

describe('obtaining', () => {
  test('one request serves all who wait, and whoever comes later waits for nothing', async () => {
    const { obtain, asked, sent } = scene()
    const waiting = Array.from({ length: 50 }, () => obtain())
    await settle()
    assert.equal(asked.length, 1)
    await asked[0]?.(answer({ access_token: 'abc', token_type: 'bearer', expires_in: 60 }))
    await Promise.all(waiting)
    assert.equal(obtain(), null)
    assert.equal(sent(), 'Bearer abc')
  })

  test('it is renewed ahead of its end while the old one serves, and nobody waits', async () => {
    const { clock, obtain, asked, sent, get } = scene()
    await get()
    await clock.advance(3_600_000 - 60_001)
    assert.equal(obtain(), null)
    assert.equal(asked.length, 1)
    await clock.advance(1)
    assert.deepEqual([obtain(), obtain()], [null, null])
    await settle()
    assert.equal(asked.length, 2)
    assert.equal(sent(), 'Bearer t1')
    await asked[1]?.(answer({ access_token: 't2', expires_in: 3600 }))
    assert.equal(obtain(), null)
    assert.equal(sent(), 'Bearer t2')
    assert.equal(asked.length, 2)
  })

  test('one that is about to end is waited for; a short life has short margins', async () => {
    for (const [seconds, serves] of [
      [3600, 3_595_000],
      [10, 9_000],
    ] as const) {
      const { clock, obtain, asked, get } = scene()
      await get({ expires_in: seconds })
      await clock.advance(serves - 1)
      assert.equal(obtain(), null)
      await settle()
      await asked[1]?.({ kind: 'none', because: 'x', privateDetail: '', sent: 'no' })
      await clock.advance(1001)
      assert.notEqual(obtain(), null, `${seconds} s`)
    }
  })

  test('without a life it serves five minutes; with none at all those who wait and nobody else', async () => {
    const unsaid = scene()
    await unsaid.get({})
    await unsaid.clock.advance(239_999)
    unsaid.obtain()
    assert.equal(unsaid.asked.length, 1)
    await unsaid.clock.advance(1)
    unsaid.obtain()
    await settle()
    assert.equal(unsaid.asked.length, 2)
    const nothing = scene()
    await nothing.get({ expires_in: 0 })
    assert.equal(nothing.sent(), 'Bearer t1')
    assert.notEqual(nothing.obtain(), null)
  })
})

describe('failures', () => {
  test('all who wait hear of it, and for a second nobody asks again', async () => {
    const { clock, obtain, asked, get, sent } = scene()
    const waiting = [obtain(), obtain()].map((waited) => assert.rejects(Promise.resolve(waited), fails(/401 \(invalid_client\)/)))
    await settle()
    await asked[0]?.(answer({ error: 'invalid_client', error_description: 'canary' }, 401))
    await Promise.all(waiting)
    await assert.rejects(Promise.resolve(obtain()), fails(/invalid_client/))
    await clock.advance(999)
    await assert.rejects(Promise.resolve(obtain()), fails(/invalid_client/))
    assert.equal(asked.length, 1)
    await clock.advance(1)
    await get()
    assert.equal(sent(), 'Bearer t2')
  })

  test('ahead of the end they are heard by nobody, and tried again each second', async () => {
    const { clock, obtain, asked, sent, get } = scene()
    await get()
    await clock.advance(3_600_000 - 30_000)
    for (let failures = 1; failures <= 3; failures++) {
      assert.equal(obtain(), null)
      await settle()
      assert.equal(asked.length, 1 + failures)
      await asked.at(-1)?.(answer({}, 503))
      assert.equal(obtain(), null)
      assert.equal(asked.length, 1 + failures)
      await clock.advance(1000)
    }
    assert.equal(sent(), 'Bearer t1')
  })

  test('each renewal is counted, and the first of a row of failures is logged', async () => {
    const { clock, obtain, asked, meter, logged, get } = scene()
    await get()
    await clock.advance(3_600_000 - 30_000)
    for (let failures = 1; failures <= 3; failures++) {
      obtain()
      await clock.advance(200)
      await asked.at(-1)?.(answer({}, 503))
      await clock.advance(1000)
    }
    await get()
    const told = meter.deeds.map(([name, facts]) => [name, { ...(facts as object) }])
    const renewal = (outcome: string, seconds: number) => [
      'tokenRenewed',
      { scheme: 'oauth2-client-credentials', outcome, seconds },
    ]
    assert.deepEqual(told.slice(0, 4), [renewal('renewed', 0), ...Array(3).fill(renewal('failed', 0.2))])
    assert.equal(logged.length, 1)
    assert.match(JSON.stringify(logged[0]), /"warn","token not renewed",\{"credential":"it","because":".*answered 503/)
  })

  test('an endpoint that could not be asked is told with its reason; the rest is for operators', async () => {
    const { obtain, asked } = scene()
    const waiting = assert.rejects(Promise.resolve(obtain()), fails(/because so;/, '10.0.0.1'))
    await settle()
    await asked[0]?.({ kind: 'none', because: 'because so', privateDetail: '10.0.0.1', sent: 'no' })
    await waiting
  })

  test('a request that cannot be composed tells nothing of why', async () => {
    const { obtain } = scene(async () => {
      throw new Error('canary')
    })
    await assert.rejects(Promise.resolve(obtain()), fails(/^(?!.*canary).*its token request could not be made/))
  })
})

describe('a 401', () => {
  const repeatable = (yes: boolean): HopRequest => aRequest({ plan: aPlan({ repeatable: yes }) })

  test('renews the token once', async () => {
    const { clock, asked, sent, get, refused } = scene()
    await get()
    await clock.advance(5000)
    const request = repeatable(true)
    sent(request)
    assert.equal(refused(request), true)
    await get()
    assert.equal(asked.length, 2)
    assert.equal(sent(request), 'Bearer t2')
    assert.equal(refused(request, 1), false)
  })

  test('of a request that may not be repeated renews it for the next', async () => {
    const { clock, obtain, asked, sent, get, refused } = scene()
    await get()
    await clock.advance(5000)
    const request = repeatable(false)
    sent(request)
    assert.equal(refused(request), false)
    assert.notEqual(obtain(), null)
    await settle()
    assert.equal(asked.length, 2)
  })

  test('of many calls renews it once for all of them', async () => {
    const { clock, asked, sent, get, refused, obtain } = scene()
    await get()
    await clock.advance(5000)
    const requests = Array.from({ length: 5 }, () => repeatable(true))
    for (const request of requests) sent(request)
    assert.equal(refused(requests[0] ?? aRequest()), true)
    await get()
    for (const request of requests.slice(1)) {
      assert.equal(refused(request), true)
      assert.equal(obtain(), null)
    }
    assert.equal(asked.length, 2)
  })

  test('for a token that was only just given renews nothing: another would fare no better', async () => {
    const { clock, sent, get, refused } = scene()
    await get()
    const request = repeatable(true)
    sent(request)
    await clock.advance(999)
    assert.equal(refused(request), false)
    await clock.advance(1)
    assert.equal(refused(request), true)
  })
})
