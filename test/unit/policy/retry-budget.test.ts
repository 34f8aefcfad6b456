import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createRetryBudget } from '../../../src/policy/retry-budget.ts'
import { createFakeClock } from '../../support/fake-clock.ts'

function spend(budget: { tryRetry(): boolean }): number {
  let spent = 0
  while (budget.tryRetry()) spent++
  return spent
}

test('a quiet adapter may retry ten times in ten seconds', () => {
  assert.equal(spend(createRetryBudget(0.2, createFakeClock())), 10)
})

test('a busy adapter may retry a fifth of its recent requests', () => {
  const budget = createRetryBudget(0.2, createFakeClock())
  for (let i = 0; i < 1000; i++) budget.countRequest()
  assert.equal(spend(budget), 200)
})

test('what is spent comes back as the window passes', async () => {
  const clock = createFakeClock()
  const budget = createRetryBudget(0.2, clock)
  spend(budget)
  await clock.advance(9_999)
  assert.equal(budget.tryRetry(), false)
  await clock.advance(1)
  assert.equal(spend(budget), 10)
})

test('a long silence empties the window', async () => {
  const clock = createFakeClock()
  const budget = createRetryBudget(0.5, clock)
  for (let i = 0; i < 100; i++) budget.countRequest()
  await clock.advance(3_600_000)
  assert.equal(spend(budget), 10)
})

test('any run of requests, retries and pauses agrees with a plain list of what happened', async () => {
  const step = fc.oneof(
    fc.record({ kind: fc.constant('request' as const), times: fc.integer({ min: 1, max: 60 }) }),
    fc.record({ kind: fc.constant('retry' as const), times: fc.integer({ min: 1, max: 15 }) }),
    fc.record({ kind: fc.constant('wait' as const), times: fc.integer({ min: 1, max: 15_000 }) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      let now = 0
      const budget = createRetryBudget(0.2, { now: () => now })
      const log: { kind: 'request' | 'retry'; second: number }[] = []
      const recent = (kind: string) =>
        log.filter((entry) => entry.kind === kind && entry.second > Math.floor(now / 1000) - 10).length
      for (const { kind, times } of steps) {
        if (kind === 'wait') now += times
        else
          for (let i = 0; i < times; i++) {
            if (kind === 'request') budget.countRequest()
            else {
              const allowed = recent('retry') + 1 <= Math.max(10, recent('request') * 0.2)
              assert.equal(budget.tryRetry(), allowed)
              if (!allowed) continue
            }
            log.push({ kind, second: Math.floor(now / 1000) })
          }
      }
    }),
  )
})
