import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { codingsOf, decodeBody } from '../../../src/transport/decode-body.ts'

const limits = { maxBytes: 1_000_000, hostname: 'api.example.com' }
const encoders = {
  gzip: gzipSync,
  deflate: deflateSync,
  br: brotliCompressSync,
  zstd: zstdCompressSync,
} as const

describe('content-encodings', () => {
  const read: readonly [string | undefined, readonly string[]][] = [
    [undefined, []],
    ['', []],
    ['identity', []],
    ['gzip', ['gzip']],
    ['X-GZip', ['gzip']],
    ['deflate, gzip', ['gzip', 'deflate']],
    [' br ,, zstd ', ['zstd', 'br']],
    ['gzip, identity', ['gzip']],
    ['rot13', []],
    ['rot13, gzip', ['gzip']],
    ['gzip, rot13', []],
    ['__proto__', []],
    ['constructor, gzip', ['gzip']],
  ]
  for (const [value, wanted] of read) {
    test(`"${value}" is undone as ${wanted.join(' then ') || 'nothing'}`, () => assert.deepEqual(codingsOf(value), wanted))
  }

  test('in any stack of up to five give back what was encoded, small bodies at once and large ones later', async () => {
    const names = fc.array(fc.constantFrom('gzip', 'deflate', 'br', 'zstd'), { maxLength: 5 })
    const sizes = fc.oneof(fc.integer({ min: 0, max: 2000 }), fc.integer({ min: 130_000, max: 180_000 }))
    await fc.assert(
      fc.asyncProperty(names, sizes, fc.boolean(), async (applied, size, isRandom) => {
        const plain = Buffer.alloc(size, isRandom ? 'a long and varied line of text, more or less' : 0)
        const sent = applied.reduce<Buffer>((body, name) => encoders[name](body), plain)
        const decoded = await decodeBody(sent, codingsOf(applied.join(', ')), limits)
        assert.ok(decoded.equals(plain))
      }),
      { numRuns: 25 },
    )
  })

  test('a small body costs no trip to the thread pool', () => {
    assert.ok(Buffer.isBuffer(decodeBody(gzipSync('hello'), ['gzip'], limits)))
  })

  test('deflate may be raw, although it should not', async () => {
    assert.equal((await decodeBody(deflateRawSync('hello'), ['deflate'], limits)).toString(), 'hello')
  })

  test('several gzip members and zstd frames are one body', async () => {
    for (const coding of ['gzip', 'zstd'] as const) {
      const twice = Buffer.concat([encoders[coding](Buffer.from('a')), encoders[coding](Buffer.from('b'))])
      assert.equal((await decodeBody(twice, [coding], limits)).toString(), 'ab')
    }
  })

  test('an empty body is empty under any coding', () => {
    assert.equal((decodeBody(Buffer.alloc(0), ['gzip'], limits) as Buffer).length, 0)
  })

  test('more than five are refused', () => {
    assert.throws(() => decodeBody(Buffer.from('x'), new Array(6).fill('gzip'), limits), { type: 'ContentDecodingError' })
  })

  for (const coding of ['gzip', 'deflate', 'br', 'zstd'] as const) {
    const large = encoders[coding](Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * i) % 251)))
    const broken = [
      ['a small body cut short', encoders[coding](Buffer.from('hello world')).subarray(0, -4)],
      ['a large body cut short', large.subarray(0, -4)],
      ['garbage', Buffer.from('\xffthis is not compressed at all', 'latin1')],
    ] as const
    for (const [name, body] of broken) {
      test(`${coding}: ${name} is ContentDecodingError`, async () => {
        await assert.rejects(async () => decodeBody(body, [coding], limits), {
          type: 'ContentDecodingError',
          message: new RegExp(`api\\.example\\.com .* ${coding}`),
        })
      })
    }

    test(`${coding}: a body of exactly the limit passes, one byte more does not`, async () => {
      for (const maxBytes of [1000, 500_000]) {
        const at = (size: number) => async () =>
          decodeBody(encoders[coding](Buffer.alloc(size)), [coding], { ...limits, maxBytes })
        assert.equal((await at(maxBytes)()).length, maxBytes)
        await assert.rejects(at(maxBytes + 1), { type: 'ResponseTooLarge', message: new RegExp(`larger than ${maxBytes} bytes`) })
      }
    })

    test(`${coding}: a bomb is stopped at the limit, not after it`, async () => {
      const bomb = encoders[coding](Buffer.alloc(50_000_000))
      const before = process.memoryUsage().arrayBuffers
      await assert.rejects(async () => decodeBody(bomb, [coding], limits), { type: 'ResponseTooLarge' })
      assert.ok(process.memoryUsage().arrayBuffers - before < 20_000_000)
    })
  }

  test('any bytes at all decode or fail by name', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uint8Array({ minLength: 1, maxLength: 300 }),
        fc.constantFrom('gzip', 'deflate', 'br', 'zstd'),
        async (bytes, coding) => {
          const outcome = await Promise.resolve()
            .then(() => decodeBody(Buffer.from(bytes), [coding], limits))
            .catch((error: { readonly type?: string }) => error)
          assert.ok(Buffer.isBuffer(outcome) || outcome.type === 'ContentDecodingError')
        },
      ),
    )
  })
})
