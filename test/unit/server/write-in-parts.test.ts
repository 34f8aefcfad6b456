// An answer of which a piece is made late, on a real connection: whole for who takes it, and no longer made for who has gone.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { Writable } from 'node:stream'
import { type TestContext, test } from 'node:test'
import { base64Of } from '../../../src/envelope/base64.ts'
import type { AnswerPiece } from '../../../src/model/answer-body.ts'
import { isWrittenAtOnce, writeInParts } from '../../../src/server/write-in-parts.ts'
import { until } from '../../support/wire.ts'

async function serve(t: TestContext, pieces: readonly AnswerPiece[], ended: () => void): Promise<number> {
  const server: Server = createServer((_req, res) => {
    void writeInParts(res, pieces)
      .then(() => res.end())
      .then(ended)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

test('it arrives whole, between what stands before and behind it', async (t) => {
  const bytes = Buffer.from(Array.from({ length: 1_000_001 }, (_, index) => (index * 7919) % 251))
  const port = await serve(t, [Buffer.from('<'), base64Of(bytes), Buffer.from('>')], () => {})
  const got = await (await fetch(`http://127.0.0.1:${port}/`)).text()
  assert.ok(got === `<${bytes.toString('base64')}>`)
})

test('no more is made than the caller takes, and nothing once it hung up', async (t) => {
  const part = Buffer.alloc(256 * 1024)
  const count = 400
  let made = 0
  let isEnded = false
  const parts = function* () {
    while (made++ < count) yield part
  }
  const port = await serve(t, [{ length: count * part.length, parts }], () => {
    isEnded = true
  })
  const socket = connect(port, '127.0.0.1').pause()
  t.after(() => void socket.destroy())
  socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
  let before = -1
  await until('nothing more is taken', async () => {
    const same = made > 0 && made === before
    before = made
    await new Promise((resolve) => setTimeout(resolve, 20))
    return same && made === before
  })
  assert.ok(made < count, `${made} parts`)
  socket.destroy()
  await until('the writing ends', () => isEnded)
  assert.ok(made <= before + 1, `${made} parts, ${before} before`)
})

test('many bytes that are there already go out in parts too, in their order, and the last is with the kernel when it resolves', async () => {
  const bytes = Buffer.from(Array.from({ length: 1_300_001 }, (_, index) => (index * 7919) % 251))
  const written: Buffer[] = []
  let turns = 0
  let atFirst = -1
  const out = new Writable({
    highWaterMark: 10_000_000,
    write(part: Buffer, _encoding, done) {
      if (atFirst < 0) atFirst = turns
      written.push(Buffer.from(part))
      setImmediate(done)
    },
  })
  const tick = (): void => {
    turns++
    if (!out.writableEnded) setImmediate(tick)
  }
  tick()
  await writeInParts(out, [Buffer.from('<'), bytes, Buffer.from('>')])
  out.end()
  assert.ok(Buffer.concat(written).equals(Buffer.concat([Buffer.from('<'), bytes, Buffer.from('>')])))
  assert.ok(Math.max(...written.map(({ length }) => length)) <= 512 * 1024)
  assert.ok(turns - atFirst >= written.length - 1, `${turns} turns, ${written.length} parts`)
})

test('only what is small, and there already, is written at once', () => {
  const large = Buffer.alloc(600_000)
  const many = Array.from({ length: 6 }, () => Buffer.alloc(100_000))
  const answers = [[Buffer.from('a'), Buffer.from('b')], [Buffer.from('a'), large], many, [base64Of(large)]]
  assert.deepEqual(answers.map(isWrittenAtOnce), [true, false, false, false])
})
