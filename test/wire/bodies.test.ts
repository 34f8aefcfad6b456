// What of an upstream's body stands in the envelope: JSON spliced in as sent, text by its charset, base64, decode modes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { brotliCompressSync, gzipSync, zstdCompressSync } from 'node:zlib'
import { type Scene, setScene } from '../support/scene.ts'

/** The envelope's `json`, as the characters that stand in the answer. */
function splicedJson(text: string): string {
  const start = text.indexOf('"json":') + '"json":'.length
  return text.slice(start, text.lastIndexOf(',"bytes":'))
}

async function answerTo({ up, gateway, at }: Scene, type: string | null, body: string | Uint8Array, keys: object = {}) {
  up.answer({ headers: type === null ? [] : [['Content-Type', type]], body })
  return gateway.call({ url: at('/p'), ...keys })
}

const utf16 = (text: string, order: 'le' | 'be'): Buffer => {
  const bytes = Buffer.from(text, 'utf16le')
  return order === 'le' ? bytes : bytes.swap16()
}
const utf32le = (text: string): Buffer => {
  const points = [...text].map((character) => character.codePointAt(0) ?? 0)
  return Buffer.from(new Uint32Array(points).buffer)
}
const bom = (bytes: Buffer, mark: readonly number[]): Buffer => Buffer.concat([Buffer.from(mark), bytes])

test('JSON arrives as its own text', async (t) => {
  const scene = await setScene(t)
  const same: readonly (readonly [name: string, json: string])[] = [
    ['big integers and long fractions', '{"id":9007199254740993,"f":0.1000000000000000055511151231257827,"e":1E400}'],
    ['1.0 and -0', '[1.0,-0,-0.0,1e2]'],
    ['key order, integer-like names too', '{"b":1,"10":2,"9":3,"a":4}'],
    ['repeated keys', '{"a":1,"a":2,"a":3}'],
    ['__proto__ and constructor', '{"__proto__":{"x":1},"constructor":null}'],
    ['white space and escapes', '{ "a" :\t"\\u00fc\\/\\n",\r\n"b": "ü€😀" }\n'],
    ['a lone surrogate escape', '["\\ud800"]'],
    ['a scalar', '42'],
    ['null', 'null'],
    ['64 levels', '['.repeat(64) + ']'.repeat(64)],
  ]
  for (const [name, json] of same) {
    await t.test(name, async () => {
      const { text, envelope } = await answerTo(scene, 'application/json', json)
      assert.equal(splicedJson(text), json)
      assert.deepEqual([envelope.encoding, envelope.bytes], ['utf-8', Buffer.byteLength(json)])
    })
  }
  await t.test('*+json is JSON too, parameters or not', async () => {
    const { text } = await answerTo(scene, 'Application/Problem+JSON; profile="x"', '{"n":1.0}')
    assert.equal(splicedJson(text), '{"n":1.0}')
  })

  const transcoded: readonly (readonly [name: string, type: string, bytes: Buffer, encoding: string])[] = [
    ['a UTF-8 BOM is dropped', 'application/json', bom(Buffer.from('{"a":"ü"}'), [0xef, 0xbb, 0xbf]), 'utf-8'],
    ['UTF-16LE without a BOM', 'application/json', utf16('{"a":"ü"}', 'le'), 'utf-8'],
    ['UTF-16BE with a BOM', 'application/json', bom(utf16('{"a":"ü"}', 'be'), [0xfe, 0xff]), 'utf-8'],
    ['UTF-32LE', 'application/json', utf32le('{"a":"ü"}'), 'utf-8'],
    ['a declared latin-1', 'application/json; charset="ISO-8859-1"', Buffer.from('{"a":"ü"}', 'latin1'), 'ISO-8859-1'],
    ['a declared UTF-16', 'application/json; charset=utf-16', bom(utf16('{"a":"ü"}', 'le'), [0xff, 0xfe]), 'utf-16'],
  ]
  for (const [name, type, bytes, encoding] of transcoded) {
    await t.test(name, async () => {
      const { text, envelope } = await answerTo(scene, type, bytes)
      assert.equal(splicedJson(text), '{"a":"ü"}')
      assert.equal(envelope.bytes, bytes.length)
      if (encoding !== 'utf-8') assert.equal(envelope.encoding, encoding)
    })
  }
})

test('what says it is JSON and does not parse is text', async (t) => {
  const scene = await setScene(t)
  const broken: readonly (readonly [name: string, body: string | Buffer])[] = [
    ['broken JSON', '{"a":'],
    ['NaN', '[NaN]'],
    ['two values', '{}{}'],
    ['a comment', '{}//'],
    ['65 levels', '['.repeat(65) + ']'.repeat(65)],
    ['an unpaired quote', '{"a": "b\n"}'],
  ]
  for (const [name, body] of broken) {
    await t.test(name, async () => {
      const { status, envelope } = await answerTo(scene, 'application/json', body)
      assert.deepEqual([status, envelope.ok, envelope.text, envelope.encoding], [200, true, body.toString(), 'utf-8'])
    })
  }
  await t.test('invalid UTF-8 shows U+FFFD', async () => {
    const { envelope } = await answerTo(scene, 'application/json', Buffer.from([0x22, 0xff, 0x22]))
    assert.equal(envelope.text, '"\ufffd"')
  })
})

test('text is what the media type says, in the charset it says', async (t) => {
  const scene = await setScene(t)
  const latin1 = Buffer.from('\x80é\x9f', 'latin1')
  const table: readonly (readonly [name: string, type: string | null, body: string | Buffer, encoding: string, text: string])[] =
    [
      ['text/* without a charset is true latin-1', 'text/plain', latin1, 'ISO-8859-1', '\x80é\x9f'],
      ['text/html too', 'text/html', 'é', 'ISO-8859-1', 'Ã©'],
      ['a declared charset, as declared', 'text/plain; charset=UTF-8', 'é', 'UTF-8', 'é'],
      ['without its quotes', 'text/plain; charset="Windows-1252"', Buffer.from([0x80]), 'Windows-1252', '€'],
      ['an unknown charset is read as UTF-8', 'text/plain; charset=klingon', 'é', 'klingon', 'é'],
      ['XML', 'application/xml', '<é/>', 'utf-8', '<é/>'],
      ['+xml', 'image/svg+xml', '<é/>', 'utf-8', '<é/>'],
      ['JavaScript', 'application/javascript', 'é', 'utf-8', 'é'],
      ['a form', 'application/x-www-form-urlencoded', 'a=é', 'utf-8', 'a=é'],
      ['ndjson', 'application/x-ndjson', '{}\n{}\n', 'utf-8', '{}\n{}\n'],
      ['a BOM stays', 'text/plain; charset=utf-8', '\ufeffx', 'utf-8', '\ufeffx'],
      ['Shift_JIS', 'text/plain; charset=Shift_JIS', Buffer.from([0x93, 0xfa, 0x96, 0x7b]), 'Shift_JIS', '日本'],
    ]
  for (const [name, type, body, encoding, text] of table) {
    await t.test(name, async () => {
      const { envelope } = await answerTo(scene, type, body)
      assert.deepEqual([envelope.text, envelope.encoding], [text, encoding])
    })
  }
  await t.test('`encoding` in the descriptor overrides', async () => {
    const { envelope } = await answerTo(scene, 'text/plain; charset=utf-8', latin1, { encoding: 'cp1252' })
    assert.deepEqual([envelope.text, envelope.encoding], ['€éŸ', 'cp1252'])
  })
})

test('anything else is base64', async (t) => {
  const scene = await setScene(t)
  for (const type of [null, 'application/octet-stream', 'image/png', 'nonsense']) {
    await t.test(String(type), async () => {
      const { envelope } = await answerTo(scene, type, Buffer.from([0, 255, 10]))
      assert.deepEqual([envelope.base64, envelope.encoding, envelope.bytes], ['AP8K', null, 3])
    })
  }
})

test('decode', async (t) => {
  const scene = await setScene(t)
  await t.test('text: any body', async () => {
    const { envelope } = await answerTo(scene, 'application/json', '{"a":1}', { decode: 'text' })
    assert.deepEqual([envelope.text, 'json' in envelope], ['{"a":1}', false])
  })
  await t.test('base64: any body', async () => {
    const { envelope } = await answerTo(scene, 'application/json', '{"a":1}', { decode: 'base64' })
    assert.equal(envelope.base64, Buffer.from('{"a":1}').toString('base64'))
  })
  await t.test('none: no body, but its size', async () => {
    const { envelope } = await answerTo(scene, 'application/json', '{"a":1}', { decode: 'none' })
    assert.deepEqual([envelope.bytes, 'json' in envelope, envelope.encoding], [7, false, null])
  })
  await t.test('json: whatever the type', async () => {
    const { text } = await answerTo(scene, 'text/plain', '{"a":1.0}', { decode: 'json' })
    assert.equal(splicedJson(text), '{"a":1.0}')
  })
  for (const [name, body] of [
    ['no JSON', '<html>'],
    ['empty', ''],
  ] as const) {
    await t.test(`json on a body that is ${name} is InvalidJSONError, the status kept`, async () => {
      const { status, envelope } = await answerTo(scene, 'application/json', body, { decode: 'json' })
      assert.deepEqual([status, envelope.error.type, envelope.error.sent], [502, 'InvalidJSONError', 'yes'])
      assert.deepEqual([envelope.status, envelope.reason, envelope.ok, envelope.source], [200, 'OK', false, 'upstream'])
      assert.equal(envelope.headers['content-type'], 'application/json')
    })
  }
  await t.test('no body at all: none of the three keys', async () => {
    const { envelope } = await answerTo(scene, 'application/json', '')
    assert.deepEqual([envelope.bytes, envelope.encoding], [0, null])
  })
})

test('content-encodings are undone, the headers stay as sent', async (t) => {
  const { up, gateway, at } = await setScene(t)
  const body = Buffer.from('{"n":1.0}')
  const table: readonly (readonly [coding: string, bytes: Buffer])[] = [
    ['gzip', gzipSync(body)],
    ['BR', brotliCompressSync(body)],
    ['zstd', zstdCompressSync(body)],
    ['gzip, br', brotliCompressSync(gzipSync(body))],
    ['identity', body],
  ]
  for (const [coding, bytes] of table) {
    await t.test(coding, async () => {
      const type = ['Content-Type', 'application/json'] as const
      up.answer({ headers: [type, ['Content-Encoding', coding]], body: bytes })
      const { text, envelope } = await gateway.call({ url: at('/p') })
      assert.equal(splicedJson(text), '{"n":1.0}')
      assert.equal(envelope.bytes, body.length)
      assert.deepEqual(envelope.headers, {
        'content-type': 'application/json',
        'content-encoding': coding,
        'content-length': String(bytes.length),
      })
    })
  }
})
