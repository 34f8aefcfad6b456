// Whatever is sent over a connection, however it is cut: each request has its own answer, in order, and a hang-up leaves nothing.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises'
import fc from 'fast-check'
import type { ServerOptions, ServerPorts } from '../../../src/server/server.ts'
import { certificates } from '../../support/certificates.ts'
import { until } from '../../support/wire.ts'
import { aFace, anAnswer, CALLERS, head, openRaw, post } from './face.ts'

const JSON_TYPE = 'Content-Type: application/json'
const chunked = (body: string, line = 'POST /v1/requests HTTP/1.1'): string =>
  `${head(line, JSON_TYPE, 'Transfer-Encoding: chunked')}${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
const large = (body: string): string => `${body.slice(0, -1)}${' '.repeat(70_000)}}`

/** A request with a body of its own, and what its answer must contain. */
const KINDS: readonly ((body: string) => { readonly bytes: string; readonly answer: RegExp })[] = [
  (body) => ({ bytes: post(body), answer: answering(body) }),
  (body) => ({ bytes: post(body, 'X-Empty:', 'TE: trailers', 'Connection: Keep-Alive'), answer: answering(body) }),
  (body) => ({ bytes: post(body, 'Accept: a', 'Accept: b'), answer: answering(body) }),
  (body) => ({ bytes: chunked(body), answer: answering(body) }),
  (body) => ({ bytes: post(body, 'Expect: 100-continue'), answer: answering(body) }),
  (body) => ({ bytes: post(large(body)), answer: answering(body.slice(0, -1)) }),
  (body) => ({ bytes: chunked(body, 'POST /v1/prepare HTTP/1.1'), answer: answering(body) }),
  () => ({ bytes: head('GET /healthz HTTP/1.1'), answer: /^HTTP\/1\.1 200 / }),
  (body) => ({ bytes: post(body).replace('application/json', 'text/plain'), answer: /^HTTP\/1\.1 415 / }),
]
/** Ends the connection with its answer. */
const LAST: typeof KINDS = [
  (body) => ({ bytes: post(body, 'Connection: close'), answer: answering(body) }),
  (body) => ({ bytes: post(body, 'Connection: keep-alive, close'), answer: answering(body) }),
  garbage,
  (body) => ({ bytes: post(body).replace('Host: localhost\r\n', ''), answer: /^HTTP\/1\.1 400 / }),
]

function garbage() {
  return { bytes: 'NO HTTP\r\n\r\n', answer: /^HTTP\/1\.1 400 / }
}

function answering(body: string): RegExp {
  return new RegExp(
    `^HTTP/1\\.1 200 [^]*${JSON.stringify(body)
      .slice(1, -1)
      .replace(/[{}\\]/g, '\\$&')}`,
  )
}

const sequence = fc.record({
  kinds: fc.array(fc.tuple(fc.nat(KINDS.length - 1), fc.constantFrom(1, 3, 200)), { maxLength: 5 }),
  last: fc.nat(LAST.length - 1),
  /** Where it is cut, in shares of all bytes; and turns of the loop, or ms, between. */
  cuts: fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(4)), { maxLength: 8 }),
})
type Sequence = typeof sequence extends fc.Arbitrary<infer T> ? T : never

function requestsOf({ kinds, last }: Sequence) {
  const all = kinds.map(([kind, size], i) => KINDS[kind]?.(`{"n":"${i}${'x'.repeat(size)}"}`))
  return [...all, LAST[last]?.('{"n":"last"}')].map((one) => one ?? assert.fail())
}

function* piecesOf(bytes: string, cuts: Sequence['cuts']): Generator<readonly [string, number]> {
  const places = cuts.map(([share, pause]) => [Math.floor(share * bytes.length), pause] as const).sort(([a], [b]) => a - b)
  let from = 0
  for (const [place, pause] of places) {
    yield [bytes.slice(from, place), pause]
    from = place
  }
  yield [bytes.slice(from), 0]
}

const rest = (pause: number): Promise<unknown> => (pause < 3 ? turn() : sleep(pause - 2))

/** Half of the calls are answered at once, half a turn later. */
function aScene(t: TestContext, ports: Partial<ServerPorts> = {}, options: Partial<ServerOptions> = {}) {
  let calls = 0
  return aFace(t, {
    call: async ({ body }) => {
      if (calls++ % 2 === 0) await turn()
      return anAnswer({ echoed: body.toString().trim() })
    },
    options: { clocks: { lingerMs: 30 }, ...options },
    ports,
  })
}

for (const [how, tls] of [
  ['plain', null],
  ['by TLS', { ...certificates().good, clientCa: null, requiresClient: false }],
] as const)
  test(`however requests of every kind follow each other and are cut, each has its own answer, in order: ${how}`, async (t) => {
    const { port, face } = await aScene(t, {}, tls ? { tls } : {})
    const ca = tls ? certificates().ca : undefined
    await fc.assert(
      fc.asyncProperty(sequence, async (given) => {
        const requests = requestsOf(given)
        const { socket, ended } = openRaw(port, undefined, ca)
        socket.setNoDelay(true)
        for (const [piece, pause] of piecesOf(requests.map(({ bytes }) => bytes).join(''), given.cuts)) {
          if (piece !== '') socket.write(piece)
          await rest(pause)
        }
        const answers = (await ended).split(/(?=HTTP\/1\.1 [1-5]\d\d )/).filter((one) => !one.startsWith('HTTP/1.1 100 '))
        // What is no HTTP behind a request that is under way is told by the end of the connection alone.
        if (answers.length === requests.length - 1 && LAST[given.last] === garbage) requests.pop()
        assert.equal(answers.length, requests.length)
        for (const [i, { answer }] of requests.entries()) assert.match(answers[i] ?? '', answer)
        socket.destroy()
      }),
      { numRuns: 100 },
    )
    await until('the end of all', () => face.inFlight() === 0 && face.connections() === 0)
  })

for (const [what, ports] of [
  ['is served', {}],
  ['is refused', { callers: () => CALLERS }],
] as const)
  test(`a hang-up at any byte leaves nothing under way, where the caller ${what}`, async (t) => {
    const { port, face, url } = await aScene(t, ports)
    const other = openRaw(port, post('{}').slice(0, -1))
    await until('the other call', () => face.inFlight() === 1)
    await fc.assert(
      fc.asyncProperty(sequence, fc.double({ min: 0, max: 1, noNaN: true }), fc.boolean(), async (given, share, resets) => {
        const bytes = requestsOf(given)
          .map((one) => one.bytes)
          .join('')
        const { socket } = openRaw(port)
        socket.on('error', () => {})
        for (const [piece, pause] of piecesOf(bytes.slice(0, Math.floor(share * bytes.length)), given.cuts)) {
          if (piece !== '') socket.write(piece)
          await rest(pause)
        }
        await sleep(1)
        if (resets) socket.resetAndDestroy()
        else socket.end()
      }),
      { numRuns: 100 },
    )
    await until('the end of all but the other', () => face.inFlight() === 1 && face.connections() === 1)
    other.socket.destroy()
    assert.equal((await fetch(`${url}/healthz`)).status, 200)
  })
