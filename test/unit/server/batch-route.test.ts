import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Answer, IncomingCall } from '../../../src/model/gateway-port.ts'
import { aFace, anAnswer, head, parseRaw } from './face.ts'

const batch = (count: number, concurrency?: number): string =>
  JSON.stringify({
    requests: Array.from({ length: count }, (_, i) => ({ url: `u${i}` })),
    ...(concurrency ? { concurrency } : {}),
  })
const send = (url: string, body: string, headers: Record<string, string> = {}) =>
  fetch(`${url}/v1/batch`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body })
const urlOf = (incoming: IncomingCall): string => (JSON.parse(incoming.body.toString()) as { url: string }).url
const LINES = { accept: 'application/x-ndjson' }

test('envelopes come in the order of the descriptors, whatever order the calls end in', async (t) => {
  const { url, calls } = await aFace(t, { call: async (incoming) => sleep(10 - calls.length, anAnswer(urlOf(incoming))) })
  const answer = await send(url, batch(10, 10), { 'x-request-id': 'b-1' })
  assert.equal(answer.status, 200)
  assert.equal(answer.headers.get('content-type'), 'application/json')
  assert.deepEqual(await answer.json(), { responses: Array.from({ length: 10 }, (_, i) => `u${i}`) })
  assert.deepEqual(
    calls.map((call) => [call.requestId, call.entrance]),
    Array.from({ length: 10 }, (_, i) => [`b-1-${i}`, 'batch']),
  )
})

test('an empty batch is an empty list', async (t) => {
  const { url } = await aFace(t)
  assert.deepEqual(await (await send(url, batch(0))).json(), { responses: [] })
  assert.equal(await (await send(url, batch(0), LINES)).text(), '')
})

test('no more calls than the concurrency run at once', async (t) => {
  let running = 0
  let most = 0
  const { url } = await aFace(t, {
    async call() {
      most = Math.max(most, ++running)
      await sleep(2)
      running--
      return anAnswer(1)
    },
  })
  await (await send(url, batch(20, 3))).text()
  assert.equal(most, 3)
})

test('as lines each envelope comes as its call ends', async (t) => {
  const slow = Promise.withResolvers<Answer>()
  const { url } = await aFace(t, {
    call: (incoming) => (urlOf(incoming) === 'u0' ? slow.promise : Promise.resolve(anAnswer(urlOf(incoming)))),
  })
  const answer = await send(url, batch(3, 3), LINES)
  assert.equal(answer.headers.get('content-type'), 'application/x-ndjson')
  let text = ''
  for await (const piece of answer.body ?? []) {
    text += Buffer.from(piece).toString()
    if (text.includes('"index":1') && text.includes('"index":2')) slow.resolve(anAnswer('u0'))
  }
  const lines = text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as { index: number; response: string })
  assert.equal(lines.at(-1)?.index, 0)
  assert.deepEqual(
    lines.sort((a, b) => a.index - b.index),
    [0, 1, 2].map((index) => ({ index, response: `u${index}` })),
  )
})

test('an envelope with line ends between its tokens stays on its line, its strings untouched', async (t) => {
  const { url } = await aFace(t, {
    call: async () => anAnswer(0, { body: [Buffer.from('{\r\n"a":'), Buffer.from('"x\\ny",\n"b":1}')] }),
  })
  const text = await (await send(url, batch(2), LINES)).text()
  assert.equal(text.split('\n').length, 3)
  for (const line of text.trimEnd().split('\n')) assert.deepEqual(JSON.parse(line).response, { a: 'x\ny', b: 1 })
})

for (const [accept, lines] of [
  ['text/html, Application/X-NDJSON;q=0.9', true],
  ['application/x-ndjson;q=0', false],
  ['application/x-ndjson-seq', false],
  ['*/*', false],
] as const)
  test(`Accept: ${accept} asks for ${lines ? 'lines' : 'one document'}`, async (t) => {
    const { url } = await aFace(t)
    const answer = await send(url, batch(1), { accept })
    assert.equal(answer.headers.get('content-type') === 'application/x-ndjson', lines)
    await answer.text()
  })

test('a batch that is none is refused before any call', async (t) => {
  const { url, calls, refusals } = await aFace(t)
  for (const body of ['{}', '[]', '{"requests":1}', '{"requests":[],"concurrency":65}', batch(1001), 'x', '{"requests":[{]}'])
    assert.equal((await send(url, body)).status, 400, body.slice(0, 40))
  assert.equal(calls.length, 0)
  assert.deepEqual(new Set(refusals.map((refusal) => refusal.entrance)), new Set(['batch']))
})

test('a caller that goes away cancels what runs, and what has not begun never does', async (t) => {
  const { raw, calls, face } = await aFace(t, {
    call: ({ cancellation }) => new Promise((resolve) => cancellation.onCancel(() => resolve(anAnswer('too late')))),
  })
  const body = batch(100, 4)
  const { socket } = raw(
    head('POST /v1/batch HTTP/1.1', 'Content-Type: application/json', `Content-Length: ${body.length}`) + body,
  )
  while (calls.length < 4) await sleep(1)
  socket.destroy()
  while (face.inFlight() > 0) await sleep(1)
  await sleep(5)
  assert.equal(calls.length, 4)
  assert.ok(calls.every((call) => call.cancellation.reason?.type === 'Cancelled'))
})

test('a gateway that stops answers every item of a batch under way', async (t) => {
  const { raw, calls, face } = await aFace(t, {
    call: ({ cancellation }) => new Promise((resolve) => cancellation.onCancel((reason) => resolve(anAnswer(reason.type)))),
  })
  const body = batch(9, 2)
  const { ended } = raw(
    head('POST /v1/batch HTTP/1.0', 'Content-Type: application/json', `Content-Length: ${body.length}`) + body,
  )
  while (calls.length < 2) await sleep(1)
  await face.drain(1)
  const text = await ended
  assert.deepEqual(JSON.parse(text.slice(text.indexOf('\r\n\r\n'))), { responses: Array.from({ length: 9 }, () => 'Draining') })
})

test('a slow reader holds back further calls instead of filling the memory', async (t) => {
  const { raw, calls } = await aFace(t, { call: async () => anAnswer('', { body: [Buffer.alloc(8 << 20, '1')] }) })
  const body = batch(40, 1)
  const { socket } = raw(
    head('POST /v1/batch HTTP/1.1', 'Content-Type: application/json', `Content-Length: ${body.length}`) + body,
  )
  socket.pause()
  while (calls.length < 3) await sleep(1)
  let seen = 0
  while (seen < calls.length) {
    seen = calls.length
    await sleep(100)
  }
  assert.ok(calls.length < 20, `${calls.length} of 40 begun`)
  socket.destroy()
})

test('prepare is explained by the gateway, behind the same door', async (t) => {
  const { url, raw } = await aFace(t)
  const answer = await fetch(`${url}/v1/prepare`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"url":"x"}',
  })
  assert.deepEqual(await answer.json(), { prepared: '{"url":"x"}', entrance: 'prepare' })
  assert.equal(parseRaw(await raw(head('POST /v1/prepare HTTP/1.1', 'Content-Length: 0', 'Connection: close')).ended).status, 415)
})
