import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import type { FilePart, RequestBody } from '../../../src/model/descriptor.ts'
import { encodeBody } from '../../../src/prepare/body.ts'

const never = (): string => assert.fail('no boundary is wanted here')
const text = (bytes: Uint8Array | null): string | null => bytes && Buffer.from(bytes).toString('utf8')

function aFile(over: Partial<FilePart> = {}): FilePart {
  return { name: 'file', content: Buffer.from('hello'), filename: 'a.txt', headers: [], ...over }
}

describe('a body', () => {
  const cases: readonly (readonly [name: string, body: RequestBody | undefined, sent: string | null, type: string | null])[] = [
    ['none', undefined, null, null],
    ['JSON as it was written', { kind: 'json', bytes: Buffer.from('{"n":2.0}') }, '{"n":2.0}', 'application/json'],
    [
      'a form',
      {
        kind: 'form',
        pairs: [
          ['a', '1 2'],
          ['b', null],
          ['ü', '&'],
        ],
      },
      'a=1+2&%C3%BC=%26',
      'application/x-www-form-urlencoded',
    ],
    ['a form of nulls', { kind: 'form', pairs: [['a', null]] }, '', 'application/x-www-form-urlencoded'],
    ['an empty form', { kind: 'form', pairs: [] }, null, null],
    ['text', { kind: 'text', text: 'ü' }, 'ü', null],
    ['no text', { kind: 'text', text: '' }, null, null],
    ['bytes', { kind: 'raw', bytes: Buffer.from('x') }, 'x', null],
    ['no bytes', { kind: 'raw', bytes: new Uint8Array(0) }, null, null],
    ['fields without a file', { kind: 'multipart', fields: [['a', '1']], files: [] }, 'a=1', 'application/x-www-form-urlencoded'],
  ]
  for (const [name, body, sent, type] of cases) {
    test(`${name} is sent as Requests would`, () => {
      const { bytes, contentType } = encodeBody(body, never)
      assert.deepEqual([text(bytes), contentType], [sent, type])
    })
  }

  test('the bytes of JSON and of raw content are not copied', () => {
    const bytes = Buffer.from('{}')
    assert.equal(encodeBody({ kind: 'json', bytes }, never).bytes, bytes)
    assert.equal(encodeBody({ kind: 'raw', bytes }, never).bytes, bytes)
  })

  const broken: readonly (readonly [pointer: string, body: RequestBody])[] = [
    ['/data', { kind: 'text', text: '\ud800' }],
    ['/data', { kind: 'form', pairs: [['\ud800', '']] }],
    ['/data', { kind: 'multipart', fields: [['a', '\ud800']], files: [aFile()] }],
    ['/files', { kind: 'multipart', fields: [], files: [aFile({ filename: '\ud800' })] }],
  ]
  for (const [pointer, body] of broken) {
    test(`half a surrogate pair under ${pointer} of ${body.kind} is a fault of the descriptor`, () => {
      assert.throws(
        () => encodeBody(body, () => 'b'),
        (error) =>
          error instanceof GatewayError && error.type === 'InvalidDescriptor' && JSON.stringify(error.detail).includes(pointer),
      )
    })
  }
})

describe('multipart', () => {
  test('writes fields, then files, under one boundary', () => {
    let asked = 0
    const file = aFile({ contentType: 'text/plain', headers: [['X-A', '1']] })
    const { bytes, contentType } = encodeBody({ kind: 'multipart', fields: [['a', '1']], files: [file] }, () => `b${++asked}`)
    assert.equal(contentType, 'multipart/form-data; boundary=b1')
    assert.equal(
      text(bytes),
      [
        '--b1',
        'Content-Disposition: form-data; name="a"',
        '',
        '1',
        '--b1',
        'Content-Disposition: form-data; name="file"; filename="a.txt"',
        'Content-Type: text/plain',
        'X-A: 1',
        '',
        'hello',
        '--b1--',
        '',
      ].join('\r\n'),
    )
  })

  test('no name of a field or a file can end its header line or its quotes', () => {
    const wild = fc.string({ unit: fc.constantFrom('"', '\r', '\n', '\\', ';', 'a', 'ü', '%') })
    fc.assert(
      fc.property(wild, wild, (name, filename) => {
        const { bytes } = encodeBody({ kind: 'multipart', fields: [], files: [aFile({ name, filename })] }, () => 'b')
        const head = text(bytes)?.split('\r\n\r\n')[0]?.split('\r\n')
        assert.equal(head?.length, 2)
        assert.match(head?.[1] ?? '', /^Content-Disposition: form-data; name="[^"\r\n]*"; filename="[^"\r\n]*"$/)
      }),
    )
  })

  test('a file arrives byte for byte', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (content) => {
        const body = encodeBody({ kind: 'multipart', fields: [], files: [aFile({ content })] }, () => 'b0undary')
        const form = await new Response(Buffer.from(body.bytes ?? []), {
          headers: { 'content-type': body.contentType ?? '' },
        }).formData()
        const file = form.get('file')
        assert.ok(file instanceof File)
        assert.deepEqual(new Uint8Array(await file.arrayBuffer()), new Uint8Array(content))
      }),
      { numRuns: 50 },
    )
  })
})
