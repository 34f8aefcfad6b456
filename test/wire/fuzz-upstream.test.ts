// Answers of upstreams with something cut out, put in or turned round. Every call ends with a whole envelope and a type of the
// catalogue, no answer reaches a call that it was not for, and nothing is left open.
// SALLYPORT_FUZZ=20 runs twenty times as many cases, with a seed of its own each time.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { startGateway } from '../support/gateway.ts'
import { createRudeUpstream } from '../support/rude-upstream.ts'
import { assertFreed, loopbackAdapter } from '../support/wire.ts'

const TIMES = Number(process.env.SALLYPORT_FUZZ ?? 1)
const SEED = TIMES === 1 ? 20_260_403 : Date.now() & 0x7fff_ffff
const SIDE_BY_SIDE = 16

type Answer = (tag: string) => Buffer

const answer = (head: string, body: string | Buffer): Buffer =>
  Buffer.concat([Buffer.from(`HTTP/1.1 ${head}\r\n`, 'latin1'), Buffer.from(body)])
const sized = (head: string, body: string | Buffer): Buffer =>
  answer(
    `${head}Content-Length: ${Buffer.byteLength(body)}\r\n`,
    Buffer.concat([Buffer.from('\r\n'), Buffer.from(body)]).subarray(0),
  )
const JSON_HEAD = '200 OK\r\nContent-Type: application/json\r\n'

const ANSWERS: readonly Answer[] = [
  (tag) => sized(JSON_HEAD, `{"tag":"${tag}"}`),
  (tag) => sized('200 OK\r\nContent-Type: text/html; charset=utf-16\r\n', `<p>${tag}`),
  (tag) => answer(`${JSON_HEAD}Transfer-Encoding: chunked\r\n`, `\r\n5\r\n{"a":\r\n9\r\n"${tag}"}\r\n0\r\nX-Trailer: 1\r\n\r\n`),
  (tag) => sized(`${JSON_HEAD}Content-Encoding: gzip\r\n`, gzipSync(`{"tag":"${tag}"}`)),
  (tag) => sized(`${JSON_HEAD}Content-Encoding: gzip, br\r\n`, brotliCompressSync(gzipSync(`{"tag":"${tag}"}`))),
  (tag) => answer(`${JSON_HEAD}Connection: close\r\n`, `\r\n{"tag":"${tag}"}`),
  (tag) => sized(`302 Found\r\nLocation: /${tag}\r\nSet-Cookie: ${tag}=1; Path=/\r\n`, ''),
  (tag) => Buffer.concat([answer('103 Early Hints\r\nLink: </a>; rel=b\r\n', '\r\n'), sized(JSON_HEAD, `["${tag}"]`)]),
  (tag) => sized('401 Unauthorized\r\nWWW-Authenticate: Digest realm="r", nonce="n", qop="auth"\r\n', tag),
  (tag) => sized('503 Busy\r\nRetry-After: 0\r\n', tag),
  (tag) => answer('204 No Content\r\nX-Tag: ', `${tag}\r\n\r\n`),
  (tag) => Buffer.concat([sized(JSON_HEAD, `{"tag":"${tag}"}`), sized(JSON_HEAD, `{"second":"${tag}"}`)]),
]

const PUT_IN = [
  ...['\r\n', '\r', '\n', '\0', ' ', ':', '\r\n\r\n', '0\r\n\r\n', '\xff', '"', '{', '__proto__: x\r\n', 'constructor: x\r\n'],
  ...['Content-Length: 3\r\n', 'Transfer-Encoding: chunked\r\n', 'Content-Encoding: gzip\r\n', 'Content-Encoding: zstd\r\n'],
  ...[
    'Connection: close\r\n',
    'HTTP/1.1 200 OK\r\n\r\n',
    'HTTP/1.1 100 Continue\r\n\r\n',
    'Content-Type: text/x; charset=constructor\r\n',
  ],
  ...[
    'Set-Cookie: __proto__=1\r\n',
    'Link: <x>; rel=__proto__\r\n',
    'Location: //[\r\n',
    'Retry-After: 1e99\r\n',
    'Upgrade: x\r\n',
  ],
]

const place = fc.nat(1000)
const nasty = fc.oneof(
  fc.uint8Array({ maxLength: 6 }).map((bytes) => Buffer.from(bytes)),
  fc.constantFrom(...PUT_IN).map((text) => Buffer.from(text, 'latin1')),
)
const edit = fc.record({ at: place, cut: fc.nat(10), put: nasty })
/** How one call is answered, whatever its number. */
const script = fc.record({
  kind: fc.nat(ANSWERS.length - 1),
  edits: fc.array(edit, { maxLength: 3 }),
  keep: fc.option(place, { freq: 4, nil: 1000 }),
  ends: fc.constantFrom('stays', 'stays', 'ends', 'resets'),
})
type Script = typeof script extends fc.Arbitrary<infer T> ? T : never

function bytesOf({ kind, edits, keep }: Script, tag: string): Buffer {
  let bytes = (ANSWERS[kind] as Answer)(tag)
  for (const { at, cut, put } of edits) {
    const start = Math.floor((at * bytes.length) / 1000)
    bytes = Buffer.concat([bytes.subarray(0, start), put, bytes.subarray(start + cut)])
  }
  return bytes.subarray(0, Math.ceil((keep * bytes.length) / 1000))
}

test('whatever an upstream answers, the call it was for ends typed, and no other sees it', async () => {
  const scripts = new Map<string, Script>()
  const up = await createRudeUpstream({
    always: 'scripted',
    behaviours: {
      scripted(socket, { target }) {
        const tag = target.slice(1)
        const given = scripts.get(tag)
        if (given === undefined) return socket.destroy()
        socket.write(bytesOf(given, tag))
        if (given.ends === 'ends') socket.end()
        else if (given.ends === 'resets') setTimeout(() => socket.resetAndDestroy(), 5)
      },
    },
  })
  const limits = { timeout: { read: '100ms', total: '1500ms' }, pool: { connections: 4 }, limits: { concurrency: 4, queue: 64 } }
  const gateway = await startGateway({ adapters: [loopbackAdapter('up', up.origin, limits)] })
  let calls = 0
  const types = new Set<string>()
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(script, { minLength: SIDE_BY_SIDE, maxLength: SIDE_BY_SIDE }), async (round) => {
        const tags = round.map((given) => {
          const tag = `T${calls++}Z`
          scripts.set(tag, given)
          return tag
        })
        const auth = { type: 'digest', username: 'u', password: 'p' }
        const replies = await Promise.all(
          tags.map((tag, index) =>
            gateway.call({ url: `${up.origin}/${tag}`, maxRedirects: 2, ...(index % 4 === 0 ? { auth } : {}) }),
          ),
        )
        for (const [index, { envelope, text }] of replies.entries()) {
          const type = envelope.error?.type ?? 'none'
          types.add(type)
          assert.notEqual(type, 'InternalError')
          const strangers = (text.match(/T\d+Z/g) ?? []).filter((tag) => tag !== tags[index])
          assert.deepEqual(strangers, [], `the answer to another call came to ${tags[index]}`)
        }
        for (const tag of tags) scripts.delete(tag)
      }),
      { numRuns: 20 * TIMES, seed: SEED, endOnFailure: true },
    )
    for (const type of [
      'none',
      'ReadTimeout',
      'ConnectionError',
      'ChunkedEncodingError',
      'ContentDecodingError',
      'InvalidHeader',
    ])
      assert.ok(types.has(type), `no case came to ${type}: ${[...types]}`)
    assert.doesNotMatch(gateway.logs(), /internal error/)
    await assertFreed(gateway, 'up')
  } finally {
    await gateway.stop()
    await up.close()
  }
})
