// The read clock over several exchanges of one connection. What one exchange sees of it is in origin-transport.test.ts.
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import type { Connection } from '../../../src/transport/connection.ts'
import { createReadClock } from '../../../src/transport/read-clock.ts'
import { createFakeClock } from '../../support/fake-clock.ts'

const READ_MS = 1000

function aLine() {
  const clock = createFakeClock()
  const socket = Object.assign(new EventEmitter(), { writableNeedDrain: false, bytesWritten: 0 })
  const connection = { socket, http2: false, heardAt: 0 } as unknown as Connection
  let silences = 0
  let armed = 0
  const counting = {
    ...clock,
    after(ms: number, callback: () => void) {
      armed++
      return clock.after(ms, callback)
    },
  }
  const readClock = createReadClock({ connection, clock: counting, onSilence: () => silences++ })
  const begin = (readMs = READ_MS): void => {
    readClock.expect(readMs, 0)
    readClock.start()
  }
  const hear = (): void => {
    connection.heardAt = clock.now()
  }
  return { clock, socket, readClock, begin, hear, silences: () => silences, armed: () => armed }
}

test('many exchanges in a row set one timer, and each has its whole time', async () => {
  const { clock, readClock, begin, hear, silences, armed } = aLine()
  for (let times = 0; times < 9; times++) {
    begin()
    await clock.advance(100)
    hear()
    readClock.stop()
  }
  assert.deepEqual([armed(), clock.pending], [1, 1])
  begin() // at 900; the timer of the first one fires at 1000
  await clock.advance(READ_MS - 1)
  assert.equal(silences(), 0)
  await clock.advance(3)
  assert.equal(silences(), 1)
})

test('a shorter time is not kept waiting by a longer one before it', async () => {
  const { clock, readClock, begin, silences } = aLine()
  begin(60_000)
  readClock.stop()
  begin(50)
  await clock.advance(49)
  assert.equal(silences(), 0)
  await clock.advance(3)
  assert.equal(silences(), 1)
})

test('a timer left by an earlier exchange ends none that has not yet been written', async () => {
  const { clock, readClock, begin, silences } = aLine()
  begin()
  readClock.stop()
  await clock.advance(READ_MS - 1)
  readClock.expect(READ_MS, 0)
  await clock.advance(10)
  assert.equal(silences(), 0)
  readClock.start()
  await clock.advance(READ_MS - 1)
  assert.equal(silences(), 0)
})

test('an idle connection sets no further timer, and one that closes leaves none', async () => {
  const { clock, socket, readClock, begin, silences } = aLine()
  begin()
  readClock.stop()
  await clock.advance(READ_MS)
  assert.deepEqual([clock.pending, silences()], [0, 0])
  begin()
  readClock.stop()
  assert.equal(clock.pending, 1)
  socket.emit('close')
  assert.equal(clock.pending, 0)
})
