import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { createHolders, type Place } from '../../../src/policy/holders.ts'
import { createFakeClock } from '../../support/fake-clock.ts'

interface Thing {
  readonly key: string | null
  idle: boolean
  closed: boolean
}

function setHolders(most: number) {
  const clock = createFakeClock()
  const made: Thing[] = []
  const holders = createHolders<Thing>({
    open(key) {
      const thing = { key, idle: false, closed: false }
      made.push(thing)
      return thing
    },
    isIdle: ({ idle }) => idle,
    close(thing) {
      assert.equal(thing.closed, false, 'closed twice')
      thing.closed = true
    },
    most,
    clock,
  })
  return { clock, made, holders }
}

test('whatever comes and goes, no more are kept than may be, none is forgotten in use or with something to keep', async () => {
  const step = fc.record({ kind: fc.constantFrom('enter', 'leave', 'idle', 'busy', 'wait', 'look'), n: fc.nat(7) })
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
      const { clock, made, holders } = setHolders(3)
      const inUse: Place<Thing>[] = []
      const open = (): Thing[] => made.filter(({ closed }) => !closed)
      const worth = (): Set<Thing> => new Set(open().filter((thing) => !thing.idle || inUse.some(({ kept }) => kept === thing)))
      for (const { kind, n } of steps) {
        const before = worth()
        if (kind === 'enter') {
          const place = holders.enter(`${n}`)
          const own = open().find(({ key }) => key === `${n}`)
          assert.equal(place.kept, own ?? open().find(({ key }) => key === null))
          assert.equal(place.own, own !== undefined)
          assert.ok(place.own || open().filter(({ key }) => key !== null).length === 3, 'with others only where there is no room')
          inUse.push(place)
        } else if (kind === 'leave') for (const place of inUse.splice(n, 1)) holders.leave(place)
        else if (kind === 'wait') await clock.advance(n * 200)
        else if (kind === 'look') assert.deepEqual(new Set(holders.kept()), new Set(open()))
        else for (const thing of open().slice(n, n + 1)) thing.idle = kind === 'idle'
        assert.ok(open().length <= 4, `${open().length} are kept`)
        for (const thing of before) assert.equal(thing.closed, false)
        assert.equal(new Set(open().map(({ key }) => key)).size, open().length, 'one for each')
      }
      holders.close()
      assert.deepEqual(open(), [])
    }),
  )
})

test('the idle make room for a newcomer', async () => {
  const { clock, made, holders } = setHolders(1)
  holders.leave(holders.enter('a'))
  for (const thing of made) thing.idle = true
  assert.equal(holders.enter('b').own, false, 'they were looked for just now')
  await clock.advance(1000)
  assert.equal(holders.enter('b').own, true)
  assert.equal(made[0]?.closed, true)
})
