import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keepIndex } from '../../../src/audit/keep-index.ts'
import { createFakeClock } from '../../support/fake-clock.ts'

const MINUTE = 60_000

function aKeeper() {
  const clock = createFakeClock()
  const state = { spare: true, spareFor: Number.POSITIVE_INFINITY, left: 0, fails: false }
  const filled: number[] = []
  const keeper = keepIndex(
    {
      async catchUp() {
        filled.push(clock.now())
        if (state.fails) throw new Error('damaged')
        return state.left-- <= 0
      },
    },
    { clock, hasTimeToSpare: () => state.spare && state.spareFor-- > 0 },
  )
  return { clock, state, filled, keeper }
}

test('while nobody searches the index follows the files seldom, and not at all while there is no time to spare', async () => {
  const { clock, state, filled } = aKeeper()
  await clock.advance(MINUTE)
  assert.deepEqual(filled, [1000, 11_000, 21_000, 31_000, 41_000, 51_000])
  state.spare = false
  await clock.advance(60 * MINUTE)
  assert.equal(filled.length, 6)
  state.spare = true
  await clock.advance(10_000)
  assert.equal(filled.length, 7)
})

test('while somebody searches it follows each second, however busy the gateway is, and for a minute after', async () => {
  const { clock, state, filled, keeper } = aKeeper()
  state.spare = false
  await clock.advance(10 * MINUTE)
  assert.deepEqual(filled, [])
  keeper.searched()
  await clock.advance(10_000)
  assert.equal(filled.length, 10)
  keeper.searched()
  await clock.advance(10 * MINUTE)
  assert.equal(filled.length, 10 + 59)
})

test('searches one after the other do not put off what they are to find', async () => {
  const { clock, filled, keeper } = aKeeper()
  for (let i = 0; i < 50; i++) {
    keeper.searched()
    await clock.advance(100)
  }
  assert.equal(filled.length, 5)
})

test('what is left to read is read at once, until time grows short', async () => {
  const { clock, state, filled } = aKeeper()
  state.left = 100
  state.spareFor = 7
  await clock.advance(MINUTE)
  assert.deepEqual(filled, Array(7).fill(1000))
})

test('an index that cannot be filled is tried again', async () => {
  const { clock, state, filled } = aKeeper()
  state.fails = true
  await clock.advance(25_000)
  assert.deepEqual(filled, [1000, 11_000, 21_000])
})
