import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { createLoadGuard } from '../../../src/server/load-guard.ts'

const BOUNDS = { eventLoopDelayMs: 250, memory: 0.8 }

/** Turns the guard's own ticks; the loop it watches is this test's. */
function build(t: TestContext, calls = 10) {
  t.mock.timers.enable({ apis: ['setInterval'] })
  const world = { underWay: 0, ended: 0, memory: 0.1 }
  const ports = { underWay: () => world.underWay, ended: () => world.ended, memoryShare: () => world.memory }
  const guard = createLoadGuard({ ...BOUNDS, calls }, ports)
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

test('a large body is judged by memory as it is when it has arrived, a small one is not', (t) => {
  const { world, guard } = build(t)
  world.memory = 0.81 // no tick since
  assert.equal(guard.refusal(), null)
  assert.equal(guard.refusalOfBody(1000), null)
  assert.match(guard.refusalOfBody(100_000)?.message ?? '', /overload\.memory/)
  assert.match(guard.refusal()?.message ?? '', /overload\.memory/)
})

function hold(ms: number): void {
  for (const until = performance.now() + ms; performance.now() < until; );
}

/** The loop goes round once. */
const turnOfLoop = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

test('while the event loop stays late fewer requests are admitted, and all again once it keeps up', async (t) => {
  const { world, guard, tick } = build(t, 100)
  world.underWay = 100
  guard.refusal()
  for (let window = 0; window < 2; window++) {
    hold(400)
    tick()
    await turnOfLoop()
  }
  assert.match(guard.refusal()?.message ?? '', /its event loop falls behind by more than 250 ms \(overload\.eventLoopDelay\)/)
  world.underWay = 70
  assert.equal(guard.refusal(), null)
  world.underWay = 0
  for (let window = 0; window < 4; window++) {
    await new Promise((resolve) => setTimeout(resolve, 105)) // a loop with time to spare
    tick()
  }
  world.underWay = 100
  assert.equal(guard.refusal(), null)
})

test('of the requests that arrived while it was busy, no more are taken in one turn than fit', async (t) => {
  const { guard } = build(t)
  assert.equal(guard.refusal(), null)
  hold(300)
  assert.equal(guard.refusal()?.type, 'Overloaded')
  await turnOfLoop()
  assert.equal(guard.refusal(), null)
  await turnOfLoop()
})

test('a loop without rest, never late, that serves too slowly for what is under way, takes fewer', async (t) => {
  const { world, guard, tick } = build(t, 1000)
  world.underWay = 1000
  guard.refusal()
  for (let window = 0; window < 3; window++) {
    for (let slice = 0; slice < 10; slice++) {
      hold(12)
      tick()
      await turnOfLoop()
    }
    world.ended += 50
  }
  assert.match(guard.refusal()?.message ?? '', /overload\.eventLoopDelay/)
  // As many, served soon.
  world.underWay = 100
  assert.equal(guard.refusal(), null)
})

test('a burst that is taken up without rest, while its upstreams have yet to answer, is not too slow', async (t) => {
  const { world, guard, tick } = build(t, 1000)
  for (let window = 0; window < 4; window++) {
    for (let slice = 0; slice < 10; slice++) {
      world.underWay += 25
      hold(12)
      tick()
      await turnOfLoop()
    }
    assert.equal(guard.refusal(), null)
  }
})
