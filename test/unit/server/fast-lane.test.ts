// Plain calls over the bare socket, and how a connection goes over to node:http: nothing is lost, and nothing differs.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect as connectTls } from 'node:tls'
import type { GatewayError } from '../../../src/errors/gateway-error.ts'
import type { Answer } from '../../../src/model/gateway-port.ts'
import { certificates } from '../../support/certificates.ts'
import { until } from '../../support/wire.ts'
import { aFace, anAnswer, CALLERS, head, parseRaw, post } from './face.ts'

const JSON_TYPE = 'Content-Type: application/json'
const inChunks = (body: string, ...fields: string[]): string =>
  `${head('POST /v1/requests HTTP/1.1', JSON_TYPE, 'Transfer-Encoding: chunked', ...fields)}${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
const withoutDate = ({ status, headers: { date: _, ...headers }, body }: ReturnType<typeof parseRaw>) => ({
  status,
  headers,
  body,
})

describe('the fast lane', () => {
  for (const [what, answer] of [
    ['a text', anAnswer('text')],
    ['pieces', anAnswer('', { body: [Buffer.from('{"error":{},'), Buffer.from('"requestId":"x"}')] })],
    [
      'a piece that is made late',
      anAnswer('', { body: [Buffer.from('["'), { length: 3, parts: () => [Buffer.from('abc')] }, Buffer.from('"]')] }),
    ],
    ['a status that is not 200', anAnswer('busy', { status: 503, retryAfterSeconds: 7 })],
  ] as const)
    test(`answers with the very bytes that node:http would: ${what}`, async (t) => {
      const { raw } = await aFace(t, { call: async () => answer })
      for (const fields of [['X-Request-Id: same'], ['X-Request-Id: same', 'Connection: close']]) {
        const both = await Promise.all(
          [post('{}', ...fields), inChunks('{}', ...fields)].map(async (bytes) => {
            const { until, ended, socket } = raw(bytes)
            if (fields.length > 1) return ended
            await until('\r\n\r\n')
            await sleep(20)
            socket.end()
            return ended
          }),
        )
        const [lane, http] = both.map((text) => withoutDate(parseRaw(text)))
        assert.deepEqual(lane, http)
        assert.match(both[0] ?? '', /\r\nDate: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT\r\n/)
      }
    })

  test('refuses as node:http would', async (t) => {
    const { raw } = await aFace(t, { ports: { callers: () => CALLERS } })
    const [lane, http] = await Promise.all(
      [post, inChunks].map(async (make) => parseRaw(await raw(make('{}', 'X-Request-Id: same', 'Connection: close')).ended)),
    )
    assert.equal(lane?.status, 401)
    assert.deepEqual(withoutDate(lane ?? assert.fail()), withoutDate(http ?? assert.fail()))
  })

  test('waits for a body that comes behind its head, in however many pieces', async (t) => {
    const { raw, calls } = await aFace(t)
    const body = JSON.stringify({ text: 'x'.repeat(3000) })
    const bytes = post(body)
    const { socket, until: seen } = raw(bytes.slice(0, bytes.length - body.length))
    for (let at = bytes.length - body.length; at < bytes.length; at += 1000) {
      await sleep(2)
      socket.write(bytes.slice(at, at + 1000))
    }
    await seen('echoed')
    assert.equal(calls[0]?.body.toString(), body)
    socket.destroy()
  })

  test('takes the next call of the connection, and whatever else comes, again and again', async (t) => {
    const { raw, calls } = await aFace(t)
    const { socket, until: seen } = raw()
    const bodies = ['{"a":1}', '{"a":2}', '{"a":3}', '{"a":4}']
    const each = [post, post, inChunks, post]
    for (const [i, body] of bodies.entries()) {
      socket.write((each[i] ?? post)(body))
      await seen(`{\\"a\\":${i + 1}}`)
    }
    assert.deepEqual(
      calls.map((call) => call.body.toString()),
      bodies,
    )
    socket.destroy()
  })

  test('a head that comes in pieces is one all the same, wherever it is cut', async (t) => {
    const { raw, calls } = await aFace(t)
    const bytes = post('{"a":1}', 'Connection: close')
    await Promise.all(
      Array.from({ length: bytes.length - 1 }, async (_, at) => {
        const { socket, ended } = raw()
        socket.setNoDelay(true).write(bytes.slice(0, at + 1))
        await sleep(3)
        socket.write(bytes.slice(at + 1))
        assert.match(await ended, /^HTTP\/1\.1 200 OK/)
      }),
    )
    assert.ok(calls.every(({ body }) => body.toString() === '{"a":1}'))
    assert.equal(calls.length, bytes.length - 1)
  })

  test('a body that is larger than it takes is read by node:http, and so is one behind a call under way', async (t) => {
    const { raw, calls } = await aFace(t, { call: ({ body }) => sleep(10).then(() => anAnswer(body.length)) })
    const large = JSON.stringify('x'.repeat(300_000))
    await raw(post('{}') + post(large) + post('{}') + inChunks('{}', 'Connection: close')).ended
    assert.deepEqual(
      calls.map(({ body }) => body.length),
      [2, large.length, 2, 2],
    )
  })

  test('what is sent behind a call that ends the connection is not served', async (t) => {
    const { raw, calls } = await aFace(t, { call: () => sleep(5).then(() => anAnswer('one')) })
    const { socket, ended } = raw(post('{"a":1}', 'Connection: close'))
    await until('the call', () => calls.length === 1)
    socket.write(post('{"a":2}'))
    assert.equal((await ended).match(/HTTP\/1\.1 200/g)?.length, 1)
    assert.equal(calls.length, 1)
  })

  test('a connection that is not used is closed in time', async (t) => {
    const { raw, face } = await aFace(t, { options: { clocks: { keepAliveMs: 100 } } })
    const { until: seen, ended } = raw(post('{}'))
    await seen('echoed')
    const since = performance.now()
    await ended
    assert.ok(performance.now() - since >= 80, 'it was kept')
    await until('the end of the connection', () => face.connections() === 0)
  })

  test('a connection on which nothing was ever asked is told so in time', async (t) => {
    const { raw } = await aFace(t, { options: { clocks: { headMs: 100, requestMs: 100 } } })
    assert.match(await raw().ended, /^HTTP\/1\.1 408 |^$/)
  })

  test('a caller that ends its side while its call is under way has hung up', async (t) => {
    const cancelled = Promise.withResolvers<GatewayError>()
    const { raw, face } = await aFace(t, {
      call: ({ cancellation }) =>
        new Promise((resolve) =>
          cancellation.onCancel((reason) => {
            cancelled.resolve(reason)
            resolve(anAnswer('late'))
          }),
        ),
    })
    const { socket, ended } = raw(post('{}'))
    await until('the call', () => face.inFlight() === 1)
    socket.end()
    assert.equal((await cancelled.promise).type, 'Cancelled')
    assert.equal(await ended, '')
    await until('the end of the call', () => face.inFlight() === 0)
  })

  test('a stop while a body is awaited says Draining, and waits for nobody', async (t) => {
    const { raw, face } = await aFace(t)
    const bytes = post('{"a":1}')
    const { ended } = raw(bytes.slice(0, -3))
    await until('the call', () => face.inFlight() === 1)
    await face.drain(20)
    const answer = parseRaw(await ended)
    assert.deepEqual([answer.status, answer.body.error.type, answer.headers.connection], [503, 'Draining', 'close'])
  })

  test('a caller that resets its connection in a body, and would have been refused, harms no other call', async (t) => {
    const { raw, face, refusals } = await aFace(t, { ports: { callers: () => CALLERS } })
    const bytes = post('{"a":1}')
    const [one, two] = [raw(bytes.slice(0, -3)), raw(bytes.slice(0, -3))]
    await until('both calls', () => face.inFlight() === 2)
    one.socket.resetAndDestroy()
    await until('the end of one', () => face.connections() === 1)
    assert.equal(face.inFlight(), 1)
    two.socket.write(bytes.slice(-3))
    await two.until('HTTP/1.1 401 ')
    await until('the end of the other', () => face.inFlight() === 0)
    assert.equal(refusals.length, 2)
    two.socket.destroy()
  })

  test('a stop while many bodies are awaited says Draining to each', async (t) => {
    const { raw, face } = await aFace(t)
    const many = Array.from({ length: 6 }, () => raw(post('{"a":1}').slice(0, -3)))
    await until('the calls', () => face.inFlight() === 6)
    await face.drain(20)
    for (const { ended } of many) assert.equal(parseRaw(await ended).body.error.type, 'Draining')
  })

  test('a head that cannot be relied on ends the connection, as by node:http', async (t) => {
    const { raw } = await aFace(t)
    const answer = parseRaw(await raw(post('{}').replace('Host: localhost\r\n', '')).ended)
    assert.deepEqual([answer.status, answer.headers.connection], [400, 'close'])
  })

  test('an answer that is made while it is written is under way, and on the clock, until its last piece is taken', async (t) => {
    const last = Buffer.alloc(16 << 20, 'x')
    const body = [Buffer.from('"'), { length: 3, parts: () => [Buffer.from('abc')] }, last]
    const { raw, face } = await aFace(t, {
      call: async () => anAnswer('', { body, spent: [last] }),
      options: { clocks: { answerMs: 100 } },
    })
    const { socket } = raw()
    socket.pause().write(post('{}'))
    await until('the call', () => face.inFlight() === 1)
    await sleep(30)
    assert.deepEqual([face.inFlight(), last.length], [1, 16 << 20])
    await until('the end of the connection', () => face.connections() === 0)
    assert.equal(face.inFlight(), 0)
  })

  test('memory of an answer is given back once the kernel has it, never before', async (t) => {
    const spent = Buffer.alloc(32 << 20, 'x')
    const answer: Answer = anAnswer('', { body: [spent], spent: [spent] })
    const { raw } = await aFace(t, { call: async () => answer })
    const { socket, ended } = raw()
    socket.pause().write(post('{}', 'Connection: close'))
    await sleep(30)
    assert.equal(spent.length, 32 << 20)
    socket.resume()
    const text = await ended
    assert.ok(text.endsWith('x'.repeat(1000)) && text.length > spent.length + (32 << 20))
    assert.equal(spent.length, 0)
  })

  for (const [what, make] of [
    ['the lane', post],
    ['node:http', inChunks],
  ] as const)
    test(`memory of an answer that nobody takes is given back when its connection is gone: ${what}`, async (t) => {
      const begun = Buffer.alloc(32 << 20, 'x')
      const { raw, face } = await aFace(t, { call: async () => anAnswer('', { body: [begun], spent: [begun] }) })
      const { socket } = raw()
      socket.pause().write(make('{}'))
      await once(socket, 'readable')
      assert.equal(begun.length, 32 << 20)
      socket.destroy()
      await until('the end of the connection', () => face.connections() === 0)
      await until('its memory', () => begun.length === 0)
    })

  test('memory of an answer that comes when its caller is gone is given back', async (t) => {
    const late = Buffer.alloc(1 << 20)
    const { raw, face } = await aFace(t, {
      async call() {
        await until('the end of the connection', () => face.connections() === 0)
        return anAnswer('', { body: [late], spent: [late] })
      },
    })
    const { socket } = raw(post('{}'))
    await until('the call', () => face.inFlight() === 1)
    socket.destroy()
    await until('its memory', () => late.length === 0)
  })

  test('on a renewed certificate a used connection ends at once, and one that was never used with its first answer', async (t) => {
    const { ca, good } = certificates()
    const own = { ...good, clientCa: null }
    const { face, port, calls } = await aFace(t, { options: { tls: { ...own, requiresClient: false } } })
    const open = async () => {
      const socket = connectTls({ port, host: '127.0.0.1', ca }).setEncoding('latin1')
      t.after(() => socket.destroy())
      await once(socket, 'secureConnect')
      let text = ''
      socket.on('data', (part: string) => {
        text += part
      })
      return { socket, text: () => text }
    }
    const [used, fresh] = await Promise.all([open(), open()])
    used.socket.write(post('{}'))
    await until('an answer', () => used.text().includes('echoed'))
    face.renewTls(own)
    await once(used.socket, 'close')
    fresh.socket.write(post('{}'))
    await once(fresh.socket, 'close')
    assert.match(fresh.text(), /^HTTP\/1\.1 200 OK.*Connection: close.*echoed/s)
    assert.equal(calls.length, 2)
  })
})
