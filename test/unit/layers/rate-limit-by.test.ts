// limits.rateBy: whose bucket a try takes from.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { GatewayError } from '../../../src/errors/gateway-error.ts'
import { createRateLimit } from '../../../src/layers/rate-limit.ts'
import type { LimitsPolicy, Rate } from '../../../src/model/adapter-policy.ts'
import { gates } from '../../../src/model/dispatch.ts'
import type { CredentialChoice } from '../../../src/model/hop.ts'
import { createTokenBucket } from '../../../src/policy/token-bucket.ts'
import { aContext, anAdapter, aPlan, aRequest, aResponse } from '../../support/builders.ts'
import { createFakeClock } from '../../support/fake-clock.ts'
import { watch } from '../../support/scripted-dispatch.ts'

const ORIGIN = 'https://api.example.com'
const CALLER = { admin: false, may: null }

function setLimit(rate: Rate, rateBy: LimitsPolicy['rateBy']) {
  const clock = createFakeClock()
  /** Buckets that may be shared, by their names. */
  const open = new Set<string>()
  const adapter = anAdapter({ limits: { ...anAdapter().limits, rate, rateBy, whenSpent: 'reject' } })
  const limit = createRateLimit(adapter, ORIGIN, {
    clock,
    openBucket(name, rate) {
      assert.ok(!open.has(name), `${name} is open already`)
      open.add(name)
      return { ...createTokenBucket(rate, clock), close: () => void open.delete(name) }
    },
  })
  const dispatch = gates(limit.gate)(async () => aResponse())
  const call = async (caller: string, credential: CredentialChoice = { kind: 'none' }) => {
    const request = aRequest({ plan: aPlan({ adapter, credential }) })
    const result = watch(dispatch(request, aContext({ caller: { name: caller, ...CALLER } })))
    await clock.advance(0)
    return (result.error as GatewayError | undefined) ?? null
  }
  return { clock, open, limit, call }
}

const stored = (name: string): CredentialChoice => ({ kind: 'stored', name, from: 'descriptor' })
const given = (token: string): CredentialChoice => ({ kind: 'given', auth: { type: 'bearer', token } })
const ONCE: Rate = { count: 1, perMs: 60_000, burst: 1 }

test('each caller has its own turns, and is told whose are spent', async () => {
  const { call, open, limit } = setLimit(ONCE, 'caller')
  assert.equal(limit.left(), 1)
  assert.deepEqual([await call('a'), await call('b')], [null, null])
  const error = await call('a')
  assert.match(error?.message ?? '', /limits\.rate of adapter "example" is spent for caller "a" at https:\/\/api\.example\.com: /)
  assert.deepEqual([error?.type, error?.retryAfter], ['RateLimited', 60_000])
  assert.deepEqual([...open], [`adapter example ${ORIGIN} caller a`, `adapter example ${ORIGIN} caller b`])
  assert.equal(limit.left(), 0)
  limit.close()
  assert.equal(open.size, 0)
})

test('a credential is one whoever calls with it, and nothing of one that descriptors bring is told to the store', async () => {
  const { call, open } = setLimit(ONCE, 'credential')
  assert.deepEqual([await call('a', stored('one')), await call('a', stored('two'))], [null, null])
  assert.match((await call('b', stored('one')))?.message ?? '', /is spent for credential "one" at/)
  assert.deepEqual([await call('a', given('planted-token')), await call('a', given('other'))], [null, null])
  const error = await call('b', given('planted-token'))
  assert.match(error?.message ?? '', /is spent for the descriptor's own credential at/)
  assert.doesNotMatch(error?.message ?? '', /planted/)
  assert.equal(await call('a'), null)
  assert.match((await call('b'))?.message ?? '', /is spent for calls without a credential of the gateway at/)
  assert.deepEqual([...open], [`adapter example ${ORIGIN} stored one `, `adapter example ${ORIGIN} stored two `])
})

test('beyond a thousand all others share one, stored credentials have room of their own, and full buckets are forgotten', async () => {
  const { clock, call, open, limit } = setLimit(ONCE, 'credential')
  for (let n = 0; n < 1000; n++) assert.equal(await call('a', given(`made up ${n}`)), null)
  assert.equal(await call('a', given('one more')), null)
  assert.match(
    (await call('a', given('yet another')))?.message ?? '',
    /spent for the descriptor's own credential and all others that came while 1000 credentials had spent of theirs at https/,
  )
  assert.equal(await call('a', stored('one')), null)
  for (let n = 0; n < 1200; n++) await call('a', stored(`s${n}`))
  assert.equal(open.size, 1001)
  await clock.advance(59_999)
  limit.left()
  assert.equal(open.size, 1001)
  await clock.advance(1)
  assert.equal(limit.left(), 1)
  assert.deepEqual([...open], [`adapter example ${ORIGIN} all other credentials`])
  assert.deepEqual([await call('a', given('yet another')), await call('a', given('one more'))], [null, null])
})

test('whoever calls when, each has its burst and its rate, all of it, and none of another', async () => {
  const step = fc.record({ caller: fc.constantFrom('a', 'b', 'c'), waitMs: fc.nat(700), look: fc.boolean() })
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 3 }), fc.array(step, { maxLength: 60 }), async (burst, steps) => {
      const rate = { count: 4, perMs: 4000, burst }
      const { clock, call, limit } = setLimit(rate, 'caller')
      const alone = new Map(['a', 'b', 'c'].map((name) => [name, createTokenBucket(rate, clock)]))
      for (const { caller, waitMs, look } of steps) {
        await clock.advance(waitMs)
        if (look) limit.left()
        assert.equal((await call(caller)) === null, alone.get(caller)?.tryTake())
      }
    }),
  )
})
