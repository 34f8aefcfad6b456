import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createSpareTime } from '../../../src/audit/spare-time.ts'

/** What passes between two questions: ms, CPU of other threads in ms, threads of the machine for each core. */
function asked(...spans: readonly (readonly [number, number, number])[]): boolean[] {
  const usage = { now: 1000, others: 500, load: 0 }
  const hasTimeToSpare = createSpareTime({ now: () => usage.now, othersMs: () => usage.others, loadPerCore: () => usage.load })
  return spans.map(([ms, others, load]) => {
    usage.now += ms
    usage.others += others
    usage.load = load
    return hasTimeToSpare()
  })
}

test('there is time to spare where the rest of the process took less than a quarter of a core since it was asked last', () => {
  assert.deepEqual(asked([1000, 240, 0], [1000, 260, 0], [200, 40, 0], [200, 60, 0]), [true, false, true, false])
})

test('there is none where the machine is busy, whoever keeps it so', () => {
  assert.deepEqual(asked([1000, 0, 0.7], [1000, 0, 0.8]), [true, false])
})

test('where no time has passed nobody knows', () => {
  assert.deepEqual(asked([0, 0, 0]), [false])
})
