import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import type { Caller, Quota } from '../../../src/model/caller.ts'
import type { Clock, QuotaRefusal, Quotas } from '../../../src/model/ports.ts'
import { createQuotas } from '../../../src/policy/quota.ts'
import { createTokenBucket } from '../../../src/policy/token-bucket.ts'
import { createFakeClock } from '../../support/fake-clock.ts'

const quotasOn = (clock: Pick<Clock, 'now'>): Quotas => createQuotas((_name, given) => createTokenBucket(given, clock))
const rate = (count: number, burst = count) => ({ count, perMs: 1000, burst })
const caller = (quota: Partial<Quota>, over: Partial<Caller> = {}): Caller => ({
  ...{ name: 'billing', admin: false, may: [], quota: { rate: null, concurrency: null, ...quota }, ...over },
})

function enter(quotas: Quotas, who: Caller): QuotaRefusal | null {
  const entered = quotas.enter(who)
  assert.ok(!(entered instanceof Promise), 'nothing is waited for')
  return entered
}

describe('a rate', () => {
  test('is refused at once when spent, with the time until the next', async () => {
    const clock = createFakeClock()
    const quotas = quotasOn(clock)
    const who = caller({ rate: rate(2) })
    assert.deepEqual([enter(quotas, who), enter(quotas, who)], [null, null])
    assert.deepEqual(enter(quotas, who), {
      because: 'caller "billing" has spent its quota.rate; the next call may come in 500 ms',
      retryAfterMs: 500,
    })
    await clock.advance(500)
    assert.equal(enter(quotas, who), null)
  })

  test('comes at most burst at once', () => {
    const quotas = quotasOn(createFakeClock())
    const who = caller({ rate: rate(100, 1) })
    assert.equal(enter(quotas, who), null)
    assert.equal(enter(quotas, who)?.retryAfterMs, 10)
  })

  test('is not spent by a call that its concurrency refuses', () => {
    const quotas = quotasOn(createFakeClock())
    const who = caller({ rate: rate(2), concurrency: 1 })
    enter(quotas, who)
    assert.match(enter(quotas, who)?.because ?? '', /quota\.concurrency allows: 1/)
    quotas.leave(who)
    assert.equal(enter(quotas, who), null)
  })
})

describe('a concurrency', () => {
  test('gives back what was taken, and no more', () => {
    const quotas = quotasOn(createFakeClock())
    const who = caller({ concurrency: 2 })
    assert.deepEqual([enter(quotas, who), enter(quotas, who)], [null, null])
    assert.match(
      enter(quotas, who)?.because ?? '',
      /caller "billing" has as many calls under way as its quota\.concurrency allows: 2/,
    )
    quotas.leave(who)
    assert.equal(enter(quotas, who), null)
    assert.notEqual(enter(quotas, who), null)
  })

  test('never admits more than it says, whatever comes and goes', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5 }), fc.array(fc.boolean(), { maxLength: 100 }), (concurrency, steps) => {
        const quotas = quotasOn(createFakeClock())
        const who = caller({ concurrency })
        let held = 0
        for (const comes of steps) {
          if (comes && enter(quotas, who) === null) held++
          else if (!comes && held > 0) {
            quotas.leave(who)
            held--
          }
          assert.ok(held <= concurrency)
        }
        if (held < concurrency) assert.equal(enter(quotas, who), null)
      }),
    )
  })
})

test('callers do not share, and one without a quota is not refused', () => {
  const quotas = quotasOn(createFakeClock())
  enter(quotas, caller({ rate: rate(1) }))
  assert.equal(enter(quotas, caller({ rate: rate(1) }, { name: 'shipping' })), null)
  for (let i = 0; i < 100; i++) assert.equal(enter(quotas, { name: 'free', admin: false, may: [] }), null)
})

test('a caller that is observed has its place beyond the quota too, and gives it back', () => {
  const quotas = quotasOn(createFakeClock())
  const who = caller({ concurrency: 1 }, { observe: true })
  assert.equal(enter(quotas, who), null)
  assert.notEqual(enter(quotas, who), null)
  quotas.leave(who)
  assert.notEqual(enter(quotas, who), null, 'one is still under way')
  quotas.leave(who)
  quotas.leave(who)
  assert.equal(enter(quotas, who), null)
})

test('looking takes nothing', () => {
  const quotas = quotasOn(createFakeClock())
  const who = caller({ rate: rate(1), concurrency: 1 })
  for (let i = 0; i < 5; i++) assert.equal(quotas.peek(who), null)
  enter(quotas, who)
  quotas.leave(who)
  assert.match(quotas.peek(who)?.because ?? '', /spent its quota\.rate/)
})

test('a configuration that is loaded anew gives nothing back, unless the rate is another', () => {
  const quotas = quotasOn(createFakeClock())
  enter(quotas, caller({ rate: rate(1) }))
  assert.notEqual(enter(quotas, caller({ rate: rate(1) })), null, 'the same, loaded again')
  assert.equal(enter(quotas, caller({ rate: rate(2) })), null)
  assert.notEqual(enter(quotas, caller({ rate: null, concurrency: 2 })), null, 'the two that entered are still under way')
})

test('what is left is told for each key of the quota, and asking takes nothing', async () => {
  const clock = createFakeClock()
  const quotas = quotasOn(clock)
  const who = caller({ rate: rate(4), concurrency: 2 }, { observe: true })
  const left = () => quotas.levels(who).map(({ quota, left }) => [quota, left])
  assert.deepEqual(quotas.levels({ name: 'free', admin: false, may: [] }), [])
  assert.deepEqual(quotas.levels(caller({ rate: rate(4) })), [{ caller: 'billing', quota: 'rate', left: 1 }])
  enter(quotas, who)
  for (let i = 0; i < 5; i++)
    assert.deepEqual(left(), [
      ['rate', 0.75],
      ['concurrency', 0.5],
    ])
  for (let i = 0; i < 3; i++) enter(quotas, who)
  assert.deepEqual(left()[1], ['concurrency', 0], 'a caller that is only observed goes on past it')
  for (let i = 0; i < 4; i++) quotas.leave(who)
  await clock.advance(1000)
  assert.deepEqual(left(), [
    ['rate', 1],
    ['concurrency', 1],
  ])
})
