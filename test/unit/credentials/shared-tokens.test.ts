// Replicas with one store: who renews, who waits, who takes over, and what each does when the store is away.
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { renewByAsking } from '../../../src/credentials/renew-by-asking.ts'
import { oauth2RefreshToken } from '../../../src/credentials/schemes/oauth2-refresh-token.ts'
import { createEphemeralTextSealer } from '../../../src/credentials/seal-text.ts'
import { createSharedStates } from '../../../src/credentials/shared-state.ts'
import { openTokenCredential } from '../../../src/credentials/token.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import type { Errand, OpenCredential, TokenAnswer, TokenRequest } from '../../../src/model/credential-scheme.ts'
import type { KeyValueStore } from '../../../src/model/ports.ts'
import { createMemoryValues } from '../../../src/stores/memory-values.ts'
import { aMeter, aRequest, aResponse } from '../../support/builders.ts'
import { createFakeClock, settle } from '../../support/fake-clock.ts'
import { anErrand, tokenPorts } from '../../support/token-ports.ts'

const REQUEST: TokenRequest = { url: 'https://auth.example.com/token', form: [], basic: null }
const GRANT = { tokenUrl: REQUEST.url, clientId: 'c', refreshToken: 'r0' }

const answer = (fields: object, status = 200): TokenAnswer => ({
  kind: 'answer',
  status,
  body: Buffer.from(JSON.stringify(fields)),
})
const none = (sent: 'no' | 'maybe'): TokenAnswer => ({ kind: 'none', because: 'it could not be asked', privateDetail: '', sent })

const byAsking = (): OpenCredential =>
  openTokenCredential(
    'oauth2-client-credentials',
    renewByAsking(() => REQUEST),
  )

/** Replicas of one installation; the endpoint answers when the test says so. */
function scene(open: () => OpenCredential = byAsking) {
  const clock = createFakeClock()
  const memory = createMemoryValues(clock)
  const sealer = createEphemeralTextSealer()
  const kept = new Map<string, string>()
  const asked: { readonly request: TokenRequest; give(given: TokenAnswer): Promise<void> }[] = []
  const outage = { is: false }
  let trips = 0
  const unlessAway =
    <A extends readonly unknown[], R>(deed: (...given: A) => Promise<R>) =>
    async (...given: A): Promise<R> => {
      trips++
      if (outage.is) throw new GatewayError('Overloaded', 'the store is away')
      return deed(...given)
    }
  const values: KeyValueStore = {
    get: unlessAway(memory.get),
    put: unlessAway((key, value, options) => {
      kept.set(key, value)
      return memory.put(key, value, options)
    }),
    version: unlessAway(memory.version),
    delete: unlessAway(memory.delete),
  }
  const exchange = (request: TokenRequest): Promise<TokenAnswer> =>
    new Promise((resolve) => {
      const give = (given: TokenAnswer): Promise<void> => {
        resolve(given)
        return settle()
      }
      asked.push({ request, give })
    })

  const join = (over: Partial<Errand> = {}) => {
    const credential = open()
    const meter = aMeter()
    const { of: shared, close } = createSharedStates({ values, sealer, clock })
    const errand = anErrand(tokenPorts({ clock, exchange, meter, shared }), over)
    return {
      close,
      obtain: () => Promise.resolve(credential.obtain?.(errand, aRequest()) ?? null),
      sent: () => credential.inject(aRequest()).headers[0]?.value,
      /** Sends it, and is answered with a 401. */
      refused() {
        const request = aRequest()
        credential.inject(request)
        return credential.dialogue?.heard(request, aResponse({ status: 401 }), 0)
      },
      outcomes: () => meter.deeds.map(([, facts]) => (facts as { outcome: string }).outcome),
    }
  }
  return { clock, values, kept, asked, outage, join, trips: () => trips }
}

const unavailable = (message: RegExp) => (error: unknown) => {
  assert.ok(error instanceof GatewayError && error.type === 'CredentialUnavailable', String(error))
  assert.match(error.message, message)
  return true
}

describe('a token that may be asked for again', () => {
  test('is asked for by one replica, and the others have it too', async () => {
    const { clock, asked, join } = scene()
    const replicas = [join(), join(), join()]
    const waiting = replicas.map(({ obtain }) => obtain())
    await clock.advance(250)
    assert.equal(asked.length, 1)
    await asked[0]?.give(answer({ access_token: 'a', expires_in: 3600 }))
    await clock.advance(100)
    await Promise.all(waiting)
    assert.deepEqual(replicas.map(({ sent }) => sent()), Array(3).fill('Bearer a')) // biome-ignore format: one line
    assert.deepEqual(replicas.map(({ outcomes }) => outcomes()[0]).sort(), ['renewed', 'shared', 'shared']) // biome-ignore format: one line
    const late = join()
    await late.obtain()
    assert.deepEqual([late.sent(), asked.length], ['Bearer a', 1])
  })

  test('in steady use costs no trip to the store', async () => {
    const { clock, asked, join, trips } = scene()
    const { obtain } = join()
    const first = obtain()
    await settle()
    await asked[0]?.give(answer({ access_token: 'a', expires_in: 3600 }))
    await first
    await clock.advance(0)
    const before = trips()
    for (let i = 0; i < 100; i++) assert.equal(await obtain(), null)
    assert.equal(trips(), before)
  })

  test('after a 401 is looked for in the store before it is asked for', async () => {
    const { clock, asked, join } = scene()
    const [one, other] = [join(), join()]
    const get = async (replica: ReturnType<typeof join>, token: string): Promise<void> => {
      const waiting = replica.obtain()
      await settle()
      await asked.at(-1)?.give(answer({ access_token: token, expires_in: 3600 }))
      await waiting
    }
    await get(one, 'a')
    await other.obtain()
    await clock.advance(5000)
    assert.equal(one.refused(), 'renewed')
    await get(one, 'b')
    assert.equal(other.refused(), 'renewed')
    await other.obtain()
    assert.deepEqual([other.sent(), asked.length], ['Bearer b', 2])
    assert.equal(other.refused(), null, 'it is only just renewed')
    await clock.advance(5000)
    assert.equal(other.refused(), 'renewed')
    await get(other, 'c')
    assert.deepEqual([other.sent(), asked.length], ['Bearer c', 3])
  })

  test('where the replica that asks dies, another takes over when its lease ends', async () => {
    const { clock, values, asked, join } = scene()
    await values.put('token-lease:it@1', 'somebody who died', { ttlMs: 5000, ifVersion: null })
    const { obtain, sent } = join()
    const waiting = obtain()
    await clock.advance(4900)
    assert.equal(asked.length, 0)
    await clock.advance(200)
    assert.equal(asked.length, 1)
    await asked[0]?.give(answer({ access_token: 'a' }))
    await waiting
    assert.equal(sent(), 'Bearer a')
  })

  test('an endpoint that is slow is still asked once: the lease is prolonged', async () => {
    const { clock, asked, join } = scene()
    const replicas = [join(), join()]
    const waiting = replicas.map(({ obtain }) => obtain())
    await clock.advance(30_000)
    assert.equal(asked.length, 1)
    await asked[0]?.give(answer({ access_token: 'a' }))
    await clock.advance(100)
    await Promise.all(waiting)
  })

  test('with the store away each asks for itself', async () => {
    const { clock, asked, outage, join } = scene()
    outage.is = true
    const replicas = [join(), join()]
    const waiting = replicas.map(({ obtain }) => obtain())
    await clock.advance(0)
    assert.equal(asked.length, 2)
    await asked[0]?.give(answer({ access_token: 'a' }))
    await asked[1]?.give(answer({ access_token: 'b' }))
    await Promise.all(waiting)
    assert.deepEqual(replicas.map(({ sent }) => sent()), ['Bearer a', 'Bearer b']) // biome-ignore format: one line
  })

  test('another version, and another key of a pool, have their own', async () => {
    const { asked, join } = scene()
    const first = join().obtain()
    await settle()
    await asked[0]?.give(answer({ access_token: 'a' }))
    await first
    for (const over of [{ version: 2 }, { member: 1 }, { credential: 'else' }]) void join(over).obtain()
    await settle()
    assert.equal(asked.length, 4)
  })

  test('is sealed, for that one credential', async () => {
    const { values, kept, asked, join } = scene()
    const first = join().obtain()
    await settle()
    await asked[0]?.give(answer({ access_token: 'canary-token' }))
    await first
    const sealed = kept.get('token:it@1') ?? ''
    assert.doesNotMatch(sealed + Buffer.from(sealed.split(':')[1] ?? '', 'base64').toString('latin1'), /canary/)
    await values.put('token:it@2', sealed, { ttlMs: 60_000, ifVersion: null })
    void join({ version: 2 }).obtain()
    await settle()
    assert.equal(asked.length, 2, 'what was moved does not open')
  })

  test('kept by a clock that is far ahead, it is not believed to be new', async () => {
    const { clock, asked, join } = scene()
    const first = join().obtain()
    await settle()
    await asked[0]?.give(answer({ access_token: 'a' }))
    await first
    const { date } = clock
    Object.assign(clock, { date: () => date() - 61_000 })
    void join().obtain()
    await settle()
    assert.equal(asked.length, 2)
  })
})

describe('a refresh token', () => {
  const refreshTokens = (asked: readonly { readonly request: TokenRequest }[]): unknown[] =>
    asked.map(({ request }) => request.form.find(([name]) => name === 'refresh_token')?.[1])
  const grantScene = () => scene(() => oauth2RefreshToken.open(GRANT))

  test('goes out once, by one replica, and its successor next, by any', async () => {
    const { clock, asked, join } = grantScene()
    const replicas = [join(), join()]
    const waiting = replicas.map(({ obtain }) => obtain())
    await clock.advance(300)
    assert.equal(asked[0]?.request.once, true)
    await asked[0]?.give(answer({ access_token: 'a', refresh_token: 'r1', expires_in: 60 }))
    await clock.advance(100)
    await Promise.all(waiting)
    assert.deepEqual(replicas.map(({ sent }) => sent()), ['Bearer a', 'Bearer a']) // biome-ignore format: one line
    await clock.advance(60_000)
    const later = replicas[1]?.obtain()
    await settle()
    await asked[1]?.give(answer({ access_token: 'b', expires_in: 60 }))
    await later
    await clock.advance(60_000)
    void join().obtain()
    await settle()
    assert.deepEqual(refreshTokens(asked), ['r0', 'r1', 'r1'], 'without a new one the old serves on')
  })

  const UNUSED: [name: string, given: TokenAnswer][] = [
    ['was not sent', none('no')],
    ['was refused unseen for the client', answer({ error: 'invalid_client' }, 401)],
    ['came too often', answer({}, 429)],
  ]
  for (const [name, given] of UNUSED)
    test(`that ${name} goes out again`, async () => {
      const { clock, asked, join } = grantScene()
      const failing = assert.rejects(join().obtain(), unavailable(/^(?!.*rotate)/))
      await settle()
      await asked[0]?.give(given)
      await failing
      await clock.advance(1000)
      void join().obtain()
      await settle()
      assert.deepEqual(refreshTokens(asked), ['r0', 'r0'])
    })

  const SPENT: [name: string, given: TokenAnswer, now: RegExp, later: RegExp][] = [
    ['of which no answer came', none('maybe'), /not known, so that it is not sent again; have a new/, /not known, so that/],
    ['that met a fault of the server', answer({}, 503), /answered 503, and whether/, /what came of it is not known/],
    [
      'that the server does not take',
      answer({ error: 'invalid_grant' }, 400),
      /invalid_grant\); have a new/,
      /does not take its/,
    ],
    ['that was answered with nothing of use', answer({}), /without an access token, and whether/, /what came of it is not known/],
  ]
  for (const [name, given, now, later] of SPENT)
    test(`${name} is not sent again, and the operator hears what to do`, async () => {
      const { clock, asked, join } = grantScene()
      const [one, other] = [join(), join()]
      const failing = assert.rejects(one.obtain(), unavailable(now))
      await settle()
      await asked[0]?.give(given)
      await failing
      await clock.advance(10_000)
      for (const replica of [one, other]) await assert.rejects(replica.obtain(), unavailable(later))
      for (const replica of [one, other]) await assert.rejects(replica.obtain(), unavailable(/"sallyport secrets rotate it"/))
      assert.equal(asked.length, 1)
      void join({ version: 2 }).obtain()
      await settle()
      assert.equal(asked.length, 2, 'the next version has a new one')
    })

  test('is not used while the store is away, and a token that still serves does', async () => {
    const { clock, asked, outage, join } = grantScene()
    const replica = join()
    const first = replica.obtain()
    await settle()
    await asked[0]?.give(answer({ access_token: 'a', refresh_token: 'r1', expires_in: 60 }))
    await first
    outage.is = true
    await clock.advance(50_000)
    assert.deepEqual([await replica.obtain(), replica.sent()], [null, 'Bearer a'])
    await clock.advance(10_000)
    await assert.rejects(replica.obtain(), unavailable(/the store cannot be reached/))
    assert.equal(asked.length, 1)
  })

  test('whose successor the store does not take is not forgotten: it is offered until it is kept, by a shutdown too', async () => {
    const { clock, asked, outage, join } = grantScene()
    const replica = join()
    const failing = assert.rejects(replica.obtain(), unavailable(/the store cannot be reached/))
    await settle()
    outage.is = true
    await asked[0]?.give(answer({ access_token: 'a', refresh_token: 'r1' }))
    await failing
    await clock.advance(60_000)
    outage.is = false
    const closing = replica.close()
    await clock.advance(500)
    await closing
    const other = join()
    await other.obtain()
    assert.deepEqual([other.sent(), asked.length], ['Bearer a', 1])
  })

  test('as soon as the store is back its successor is kept, and the call that asks has the token', async () => {
    const { clock, asked, outage, join } = grantScene()
    const replica = join()
    const failing = assert.rejects(replica.obtain(), unavailable(/the store cannot be reached/))
    await settle()
    outage.is = true
    await asked[0]?.give(answer({ access_token: 'a', refresh_token: 'r1' }))
    await failing
    await clock.advance(1499)
    outage.is = false
    assert.equal(await replica.obtain(), undefined)
    assert.equal(replica.sent(), 'Bearer a')
  })

  test('in a record that cannot be opened is not replaced by the first one', async () => {
    const { asked, values, join } = grantScene()
    await values.put('token:it@1', 'gone:AAAA', { ttlMs: null, ifVersion: null })
    await assert.rejects(join().obtain(), unavailable(/cannot be opened; give back the sealing key that is missing, or have/))
    assert.equal(asked.length, 0)
  })

  test('of a public client goes out with its name, one with a secret by its authentication', async () => {
    const FORMS: [values: object, form: string, basic: unknown][] = [
      [{}, 'grant_type=refresh_token&refresh_token=r0&client_id=c&scope=a+b', null],
      [{ clientSecret: 's:' }, 'grant_type=refresh_token&refresh_token=r0&scope=a+b', { username: 'c', password: 's%3A' }],
      [
        { clientSecret: 's', clientAuth: 'body' },
        'grant_type=refresh_token&refresh_token=r0&client_id=c&client_secret=s&scope=a+b',
        null,
      ],
    ]
    for (const [values, form, basic] of FORMS) {
      const { asked, join } = scene(() => oauth2RefreshToken.open({ ...GRANT, scope: 'a b', ...values }))
      void join().obtain()
      await settle()
      const request = asked[0]?.request
      assert.equal(new URLSearchParams(request?.form.map(([name, value]) => [name, value])).toString(), form)
      assert.deepEqual(request?.basic, basic)
    }
  })
})
