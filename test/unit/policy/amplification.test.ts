import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createAmplification } from '../../../src/policy/amplification.ts'

function build() {
  let now = 0
  const amplification = createAmplification({ now: () => now })
  /** So many calls and retries at once; what was said of them. */
  const make = (calls: number, retries: number) => {
    for (let times = 0; times < calls; times++) amplification.countCall()
    const said = Array.from({ length: retries }, () => amplification.countRetry())
    return said.filter((each) => each !== null)
  }
  const pass = (ms: number): void => {
    now += ms
  }
  return { make, pass }
}

test('more than one and a half tries a call is too many, and said once', () => {
  const { make } = build()
  assert.deepEqual(make(100, 50), [])
  assert.deepEqual(make(0, 20), [{ calls: 100, attempts: 151 }])
})

test('of few calls nothing is said, however often they are tried', () => {
  assert.deepEqual(build().make(19, 100), [])
})

test('each ten seconds are counted by themselves', () => {
  const { make, pass } = build()
  make(100, 0)
  pass(9999)
  assert.deepEqual(make(0, 40), [])
  pass(1)
  assert.deepEqual(make(30, 15), [])
})

test('while it lasts it is said once a minute', () => {
  const { make, pass } = build()
  let said = 0
  for (let seconds = 0; seconds < 180; seconds += 10) {
    said += make(20, 20).length
    pass(10_000)
  }
  assert.equal(said, 3)
})
