import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLoadLimit } from '../../../src/policy/load-limit.ts'

const build = () => createLoadLimit({ targetMs: 100, most: 1000 })

test('at first as much is admitted as ever will be', () => {
  const load = build()
  assert.deepEqual([load.admits(1000), load.admits(1001)], [true, false])
})

test('one late turn changes nothing, two in a row cut what is under way', () => {
  const load = build()
  load.observe(500, 400)
  assert.equal(load.limit, 1000)
  load.observe(500, 400)
  assert.equal(load.limit, 280)
  assert.deepEqual([load.admits(280), load.admits(281)], [true, false])
  load.observe(101, 280)
  assert.equal(load.limit, 196)
})

test('a turn that is just in time is not late', () => {
  const load = build()
  for (let turn = 0; turn < 5; turn++) load.observe(100, 400)
  assert.equal(load.limit, 1000)
})

test('it is never cut so far that nobody could find out that the loop keeps up again', () => {
  const load = build()
  for (let turn = 0; turn < 100; turn++) load.observe(5000, 3)
  assert.equal(load.limit, 16)
})

test('once the loop keeps up it is raised step by step, and is back at its bound in five seconds of turns', () => {
  const load = build()
  for (let turn = 0; turn < 100; turn++) load.observe(5000, 3)
  let turns = 0
  for (let before = 0; load.limit < 1000; turns++) {
    before = load.limit
    load.observe(0, 10)
    assert.ok(load.limit > before && load.limit <= before + Math.max(16, before * 0.11), `${before} to ${load.limit}`)
  }
  assert.ok(turns <= 50, `${turns} turns`)
})
