import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createLoadGuard } from '../../../src/server/load-guard.ts'

const BOUNDS = { eventLoopDelayMs: 250, memory: 0.8 }

/** Turns the guard's own ticks; the loop it watches is this test's. */
function build(t: TestContext, calls = 10) {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const world = { underWay: 0, memory: 0.1 }
  const guard = createLoadGuard({ ...BOUNDS, calls }, { underWay: () => world.underWay, memoryShare: () => world.memory })
  t.after(() => guard.close())
  return { world, guard, tick: () => t.mock.timers.tick(100) }
}

test('as many requests as overload.calls are admitted, and one more is Overloaded with a time to come back', (t) => {
  const { world, guard } = build(t)
  world.underWay = 10
  assert.equal(guard.refusal(), null)
  world.underWay = 11
  const refusal = guard.refusal()
  assert.deepEqual([refusal?.type, refusal?.retryAfter], ['Overloaded', 1000])
  assert.match(refusal?.message ?? '', /10 requests are under way \(overload\.calls\)/)
})

test('where memory runs out nothing is admitted until it has fallen well below the bound', (t) => {
  const { world, guard, tick } = build(t)
  world.memory = 0.81
  tick()
  assert.match(guard.refusal()?.message ?? '', /its memory runs out \(overload\.memory\)/)
  world.memory = 0.78
  tick()
  assert.ok(guard.refusal())
  world.memory = 0.74
  tick()
  assert.equal(guard.refusal(), null)
})

test('while the event loop stays late fewer requests are admitted, and all again once it keeps up', (t) => {
  const { world, guard, tick } = build(t, 100)
  const hold = (): void => {
    for (const until = performance.now() + 400; performance.now() < until; );
  }
  world.underWay = 100
  guard.refusal()
  hold()
  tick()
  hold()
  tick()
  assert.match(guard.refusal()?.message ?? '', /its event loop falls behind by more than 250 ms \(overload\.eventLoopDelay\)/)
  world.underWay = 70
  assert.equal(guard.refusal(), null)
  tick()
  tick()
  world.underWay = 100
  assert.equal(guard.refusal(), null)
})
