import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createTokenBucket } from '../../../src/policy/token-bucket.ts'

test('a bucket starts full, empties, and refills evenly', () => {
  let now = 0
  const bucket = createTokenBucket({ count: 10, perMs: 1000, burst: 2 }, { now: () => now })
  assert.deepEqual([bucket.tryTake(), bucket.tryTake(), bucket.tryTake()], [true, true, false])
  assert.equal(bucket.msUntil(1), 100)
  now = 99
  assert.equal(bucket.tryTake(), false)
  now = 100
  assert.deepEqual([bucket.tryTake(), bucket.tryTake()], [true, false])
})

test('it holds no more than its burst, however long nobody comes', () => {
  let now = 0
  const bucket = createTokenBucket({ count: 10, perMs: 1000, burst: 3 }, { now: () => now })
  now = 3_600_000
  let taken = 0
  while (bucket.tryTake()) taken++
  assert.equal(taken, 3)
})

test('the n-th turn is told even beyond the burst', () => {
  const bucket = createTokenBucket({ count: 1, perMs: 1000, burst: 1 }, { now: () => 0 })
  assert.equal(bucket.msUntil(1), 0)
  assert.equal(bucket.msUntil(5), 4000)
})

test('a slow rate is not lost in rounding: 7 an hour in many small steps', () => {
  let now = 0
  const bucket = createTokenBucket({ count: 7, perMs: 3_600_000, burst: 1 }, { now: () => now })
  bucket.tryTake()
  let taken = 0
  for (; now < 3_600_000; now += 7.3) if (bucket.tryTake()) taken++
  assert.ok(taken === 6 || taken === 7, `${taken}`)
})

test('in no stretch of time is more taken than burst and refill allow, and a told turn is kept', () => {
  const rate = fc.record({ count: fc.integer({ min: 1, max: 1000 }), perMs: fc.constantFrom(1000, 60_000) })
  fc.assert(
    fc.property(
      rate,
      fc.double({ min: 0.01, max: 1, noNaN: true }),
      fc.array(fc.nat(2000), { maxLength: 60 }),
      (given, share, pauses) => {
        const burst = Math.max(1, Math.floor(given.count * share))
        let now = 0
        const bucket = createTokenBucket({ ...given, burst }, { now: () => now })
        const taken: number[] = []
        for (const pause of pauses) {
          now += pause
          if (bucket.tryTake()) taken.push(now)
          else {
            now += bucket.msUntil(1)
            assert.ok(bucket.tryTake(), 'the turn that was told did not come')
            taken.push(now)
          }
        }
        for (let from = 0; from < taken.length; from++) {
          for (let to = from; to < taken.length; to++) {
            const span = (taken[to] ?? 0) - (taken[from] ?? 0)
            assert.ok(to - from + 1 <= burst + (span * given.count) / given.perMs + 1e-6)
          }
        }
      },
    ),
  )
})
