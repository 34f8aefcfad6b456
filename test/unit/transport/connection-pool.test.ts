// What becomes of a connection that is given back. Whole exchanges are origin-transport.test.ts and the wire tests.
import assert from 'node:assert/strict'
import { EventEmitter } from 'node:events'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { createCancellation } from '../../../src/model/cancellation.ts'
import type { Connection } from '../../../src/transport/connection.ts'
import { createConnectionPool } from '../../../src/transport/connection-pool.ts'
import type { ConnectionScope } from '../../../src/transport/ports.ts'

const SCOPE: ConnectionScope = {
  ...{ verify: true, ca: null, cert: null },
  ...{ proxyLogin: null, credential: null, givenBy: null },
}

/** Enough of one for the pool; its socket has so much yet to write. */
function aConnection() {
  const socket = Object.assign(new EventEmitter(), { destroyed: false, writable: true, writableLength: 0 })
  const destroy = (): void => {
    socket.destroyed = true
    socket.emit('close')
  }
  const connection = { client: { destroyed: false }, socket, http2: false, served: 0, active: 0, suspect: false, destroy }
  return { socket, connection: connection as unknown as Connection }
}

for (const [name, leftAfterTurn] of [
  ['that is still writing for a moment is kept', 0],
  ['whose upload was cut short is closed', 149],
] as const) {
  test(`a connection ${name}`, async () => {
    const pool = createConnectionPool({ connections: 1, http2: false })
    const { socket, connection } = aConnection()
    await pool.takeNew(SCOPE, createCancellation(), async () => connection)
    socket.writableLength = 149
    pool.release(connection)
    assert.equal(pool.take(SCOPE), null)
    assert.equal(socket.destroyed, false)
    socket.writableLength = leftAfterTurn
    await turn()
    assert.equal(socket.destroyed, leftAfterTurn > 0)
    assert.equal(pool.take(SCOPE), leftAfterTurn > 0 ? null : connection)
  })
}
