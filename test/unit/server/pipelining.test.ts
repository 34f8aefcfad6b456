// Requests that a caller sends on one connection without waiting for the answers: one is served at a time, in order, and the next
// only when the answer before it was taken.
import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Answer } from '../../../src/model/gateway-port.ts'
import { aFace, anAnswer, head, post } from './face.ts'

const until = async (holds: () => boolean): Promise<void> => {
  for (const end = performance.now() + 3000; !holds(); await sleep(1)) assert.ok(performance.now() < end, String(holds))
}

describe('requests sent without waiting for answers', () => {
  test('are served one after the other, and answered in order', async (t) => {
    const release: (() => void)[] = []
    const { raw, calls, face } = await aFace(t, {
      call: (incoming) => new Promise((resolve) => release.push(() => resolve(anAnswer(incoming.body.toString())))),
    })
    const { ended } = raw(post('{"a":1}') + post('{"a":2}') + post('{"a":3}', 'Connection: close'))
    for (const served of [1, 2, 3]) {
      await until(() => calls.length === served)
      await sleep(2)
      assert.deepEqual([calls.length, face.inFlight()], [served, 1])
      release[served - 1]?.()
    }
    assert.deepEqual(
      (await ended).match(/\{\\"a\\":\d\}/g),
      [1, 2, 3].map((a) => `{\\"a\\":${a}}`),
    )
  })

  test('are all served, however many they are', async (t) => {
    const { raw, calls } = await aFace(t)
    const count = 3000
    const text = await raw(post('{"a":1}').repeat(count - 1) + post('{"a":1}', 'Connection: close')).ended
    assert.equal(calls.length, count)
    assert.equal(text.match(/HTTP\/1\.1 200 OK/g)?.length, count)
  })

  test('are served whatever their entrance, and a refusal waits for its turn too', async (t) => {
    const { raw } = await aFace(t, { call: () => sleep(20).then(() => anAnswer('slow')) })
    const text = await raw(
      post('{}') + head('GET /nowhere HTTP/1.1') + head('GET /healthz HTTP/1.1') + post('{}', 'Connection: close'),
    ).ended
    assert.deepEqual(text.match(/(?<=HTTP\/1\.1 )\d+/g), ['200', '404', '200', '200'])
  })

  test('are not begun after the caller hung up, and leave nothing behind', async (t) => {
    const { raw, calls, face } = await aFace(t, {
      call: ({ cancellation }) => new Promise((resolve) => cancellation.onCancel(() => resolve(anAnswer('late')))),
    })
    const { socket } = raw(post('{}').repeat(5))
    await until(() => calls.length === 1)
    socket.destroy()
    await until(() => face.inFlight() === 0 && face.connections() === 0)
    await sleep(5)
    assert.equal(calls.length, 1)
  })

  test('are not begun after the caller hung up unseen, since there were too many to be read', async (t) => {
    let release = (): void => {}
    const { raw, calls, face } = await aFace(t, {
      call: () =>
        new Promise((resolve) => {
          release = () => resolve(anAnswer('first'))
        }),
    })
    const { socket } = raw(post('{}').repeat(3000))
    await until(() => calls.length === 1)
    socket.resetAndDestroy()
    await sleep(5)
    release()
    await until(() => face.inFlight() === 0 && face.connections() === 0)
    assert.equal(calls.length, 1)
  })

  test('are not begun while an answer before them is not taken, nor read from the connection', async (t) => {
    const answer: Answer = anAnswer('', { body: [Buffer.alloc(16 << 20, 'x')] })
    const { port, calls, face } = await aFace(t, { call: async () => answer })
    const socket = connect({ port, host: '127.0.0.1' })
    t.after(() => socket.destroy())
    socket.pause()
    const many = post(`{"a":"${'x'.repeat(2000)}"}`)
    for (let sent = 0; sent < 20_000; sent++) socket.write(many)
    await until(() => calls.length === 1)
    await sleep(100)
    assert.equal(calls.length, 1)
    assert.equal(face.inFlight(), 1)
    assert.ok(socket.writableLength > 20 << 20, `${socket.writableLength} of ${20_000 * many.length} bytes are left unread`)
  })

  test('take their own time, not what the answer before them had to be taken in', async (t) => {
    const large: Answer = anAnswer('', { body: [Buffer.alloc(16 << 20, 'x')] })
    let served = 0
    const { raw } = await aFace(t, {
      options: { clocks: { answerMs: 500 } },
      call: async () => (served++ === 0 ? large : sleep(1200).then(() => anAnswer('slow'))),
    })
    assert.match(await raw(post('{}') + post('{}', 'Connection: close')).ended, /"slow"$/)
  })

  test('are not begun any more once the gateway leaves: the answer before them says that the connection ends', async (t) => {
    let release = (): void => {}
    const { raw, calls, face } = await aFace(t, {
      call: () =>
        new Promise((resolve) => {
          release = () => resolve(anAnswer('first'))
        }),
    })
    const { ended } = raw(post('{}').repeat(3))
    await until(() => calls.length === 1)
    const drained = face.drain(1000)
    release()
    const text = await ended
    assert.deepEqual([calls.length, text.match(/HTTP\/1\.1 200 OK/g)?.length], [1, 1])
    assert.match(text, /Connection: close/)
    await drained
  })

  test('before rubbish are answered, the last with the end of the connection', async (t) => {
    const { raw, calls } = await aFace(t, { call: () => sleep(20).then(() => anAnswer('kept')) })
    const text = await raw(`${post('{}')}${post('{}')}rubbish\r\n\r\n`).ended
    assert.equal(calls.length, 2)
    assert.deepEqual(text.match(/HTTP\/1\.1 \d+|Connection: close/g), ['HTTP/1.1 200', 'HTTP/1.1 200', 'Connection: close'])
  })

  test('before a CONNECT are answered, and then it is refused', async (t) => {
    const { raw, calls } = await aFace(t, { call: () => sleep(20).then(() => anAnswer('kept')) })
    const text = await raw(post('{}') + head('CONNECT example.test:443 HTTP/1.1')).ended
    assert.equal(calls.length, 1)
    assert.deepEqual(text.match(/HTTP\/1\.1 \d+|Connection: close/g), ['HTTP/1.1 200', 'HTTP/1.1 405', 'Connection: close'])
  })

  for (const [what, rubbish] of [
    ['rubbish', 'rubbish\r\n\r\n'],
    ['a CONNECT', head('CONNECT example.test:443 HTTP/1.1')],
  ] as const) {
    test(`before ${what} end the connection also where the last of them waits to be told to go on`, async (t) => {
      const { raw } = await aFace(t, { call: () => sleep(20).then(() => anAnswer('kept')) })
      const text = await raw(post('{}') + post('{}', 'Expect: 100-continue') + rubbish).ended
      const seen = text.match(/HTTP\/1\.1 \d+|Connection: close/g)
      assert.deepEqual(seen, ['HTTP/1.1 200', 'HTTP/1.1 100', 'HTTP/1.1 200', 'Connection: close'])
    })

    test(`before ${what} end the connection also where the last answer had begun and was not yet taken`, async (t) => {
      const answer: Answer = anAnswer('', { body: [Buffer.alloc(16 << 20, 'x')] })
      const { port, calls, face } = await aFace(t, { call: async () => answer })
      const socket = connect({ port, host: '127.0.0.1' }).pause()
      t.after(() => socket.destroy())
      socket.write(post('{}'))
      await until(() => calls.length === 1)
      socket.write(rubbish)
      await sleep(30)
      socket.resume()
      await until(() => face.connections() === 0)
    })
  }

  test('behind one that asks for an upgrade are not lost in between: its answer ends the connection', async (t) => {
    const { raw, calls } = await aFace(t)
    const { socket, ended } = raw(post('{"a":1}', 'Connection: Upgrade', 'Upgrade: h2c') + post('{"a":2}'))
    socket.write(post('{"a":3}'))
    const text = await ended
    assert.deepEqual([calls.length, text.match(/HTTP\/1\.1 \d+|Connection: close/g)], [1, ['HTTP/1.1 200', 'Connection: close']])
  })
})
