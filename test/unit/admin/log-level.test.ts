import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createLogLevel } from '../../../src/admin/log-level.ts'
import { createFakeClock } from '../../support/fake-clock.ts'

function build() {
  const clock = createFakeClock()
  const applied: string[] = []
  return { clock, applied, logLevel: createLogLevel('info', { clock, apply: (level) => void applied.push(level) }) }
}

test('it ends by itself, after longer than a timer can hold too', async () => {
  const { clock, applied, logLevel } = build()
  const day = 86_400_000
  logLevel.set('debug', 'ops', 40 * day)
  await clock.advance(40 * day - 1)
  assert.deepEqual(applied, ['debug'])
  await clock.advance(1)
  assert.deepEqual([applied, logLevel.state().by, clock.pending], [['debug', 'info'], null, 0])
})

test('a reload does not undo what an operator set, and counts once that is over', () => {
  const { applied, logLevel } = build()
  logLevel.set('debug', 'ops', null)
  logLevel.configure('warn')
  assert.deepEqual(logLevel.state(), { level: 'debug', configured: 'warn', by: 'ops', until: null })
  logLevel.set(null, 'ops', null)
  assert.equal(applied.at(-1), 'warn')
})

test('a later one takes the place of an earlier one, its end included', async () => {
  const { clock, applied, logLevel } = build()
  logLevel.set('debug', 'ops', 1000)
  logLevel.set('error', 'ops', null)
  await clock.advance(2000)
  assert.deepEqual(applied, ['debug', 'error'])
})
