// Whatever is sent to the port: a typed answer or, where nothing was asked, a closed connection; in time, and the face lives on.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { CATALOGUE } from '../../../src/errors/catalogue.ts'
import { aFace, head, openRaw, parseRaw, post } from './face.ts'

const SEEDS = [
  post('{"url":"http://x/"}'),
  post('{}', 'X-Request-Id: a', 'Expect: 100-continue'),
  head('GET /docs HTTP/1.1'),
  head('GET /%2e%2e/healthz?a=b HTTP/1.0'),
  `${head('POST /v1/batch HTTP/1.1', 'Content-Type: application/json', 'Transfer-Encoding: chunked')}5;x=y\r\n{"a":\r\n0\r\nA: b\r\n\r\n`,
  post('{}') + post('{}'),
]

interface Edit {
  readonly at: number
  readonly cut: number
  readonly put: Uint8Array
}

const edits = fc.array(
  fc.record({
    at: fc.double({ min: 0, max: 1, noNaN: true }),
    cut: fc.nat({ max: 20 }),
    put: fc.oneof(
      fc.uint8Array({ maxLength: 6 }),
      fc
        .constantFrom('\r\n', '\n', '\0', ':', ' ', '\r\n\r\n', 'Transfer-Encoding: chunked\r\n', 'Content-Length: 9\r\n')
        .map((text) => Buffer.from(text)),
    ),
  }),
  { minLength: 1, maxLength: 4 },
)
const mutated = fc.tuple(fc.constantFrom(...SEEDS), edits).map(([seed, list]) => list.reduce(edit, Buffer.from(seed)))

function edit(bytes: Buffer, { at, cut, put }: Edit): Buffer {
  const place = Math.floor(at * bytes.length)
  return Buffer.concat([bytes.subarray(0, place), put, bytes.subarray(place + cut)])
}

/** Every answer in what came, interim ones left out. */
function answersIn(text: string): string[] {
  return text.split(/(?=HTTP\/1\.1 [1-5]\d\d )/).filter((part) => part !== '' && !part.startsWith('HTTP/1.1 100 '))
}

test('any bytes get typed answers in time and never bring the face down', async (t) => {
  const { port, url, face } = await aFace(t, { options: { clocks: { lingerMs: 50 } } })
  let answered = 0
  await fc.assert(
    fc.asyncProperty(fc.oneof(mutated, fc.uint8Array({ maxLength: 300 })), async (bytes) => {
      const { socket, ended } = openRaw(port, Buffer.from(bytes))
      socket.end()
      const began = performance.now()
      const text = await ended
      if (text !== '') answered++
      assert.ok(performance.now() - began < 1000, 'in time')
      for (const answer of answersIn(text)) {
        if (/^HTTP\/1\.1 (?:200|304) /.test(answer)) continue
        const { body, headers } = parseRaw(answer)
        assert.ok(body.error.type in CATALOGUE)
        assert.equal(headers['x-request-id'], body.requestId)
      }
      socket.destroy()
    }),
    { numRuns: 300 },
  )
  assert.ok(answered > 200, `${answered} of 300 were answered`)
  assert.equal((await fetch(`${url}/healthz`)).status, 200)
  assert.equal(face.inFlight(), 0)
})
