import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { recordBody } from '../../../src/envelope/recorded-body.ts'
import type { AuditPolicy } from '../../../src/model/adapter-policy.ts'
import { parseJsonPath } from '../../../src/model/json-path.ts'
import { secretDetector } from '../../../src/model/secret-traces.ts'

const paths = (...texts: string[]) =>
  texts.map((text) => {
    const read = parseJsonPath(text)
    assert.ok(read.ok)
    return read.value
  })
const RULES: AuditPolicy = {
  ...{
    bodies: { request: true, response: true },
    bodyBytes: 64,
    contentTypes: ['application/json', 'application/*+json', 'text/*'],
    redact: [],
  },
}
const record = (
  text: string | Buffer,
  contentType: string | undefined,
  rules: Partial<AuditPolicy> = {},
  secret: string | null = null,
) =>
  recordBody(
    { bytes: Buffer.from(text as string), contentType, holdsSecret: secret === null ? null : secretDetector([secret]) },
    { ...RULES, ...rules },
  )

describe('a body is recorded', () => {
  test('as it is where nothing is masked, with the length that it had', () => {
    assert.deepEqual(record('{"a": 1.0}', 'application/json'), { bytes: 10, text: '{"a": 1.0}' })
    assert.equal(recordBody({ bytes: null, contentType: 'text/plain', holdsSecret: null }, RULES), null)
    assert.equal(record('', 'text/plain'), null)
  })

  test('up to the cap, without half a character at its end', () => {
    assert.deepEqual(record('é'.repeat(40), 'text/plain', { bodyBytes: 5 }), { bytes: 80, text: 'éé', cut: true })
    assert.deepEqual(record('12345', 'text/plain', { bodyBytes: 5 }), { bytes: 5, text: '12345' })
  })

  for (const [type, taken] of [
    ['application/json', true],
    ['Application/JSON; charset=utf-8', true],
    ['application/problem+json', true],
    ['text/html', true],
    ['application/jsonish', false],
    ['application/octet-stream', false],
    [undefined, false],
  ] as const)
    test(`of the type ${type}: ${taken ? 'yes' : 'no'}`, () => {
      const recorded = record('{}', type)
      assert.equal(recorded !== null && 'text' in recorded, taken)
      if (!taken) assert.match(JSON.stringify(recorded), /"omitted":"content type/)
    })

  test('but not where it is no text at all', () => {
    assert.deepEqual(record(Buffer.from('{"a":1}', 'utf16le'), 'application/json'), { bytes: 14, omitted: 'it is not text' })
  })
})

describe('fields are masked', () => {
  for (const [name, redact, text, masked] of [
    [
      'by name',
      ['$.card.number'],
      '{"card":{"number":"4111","cvc":1},"number":2}',
      '{"card":{"number":"***","cvc":1},"number":2}',
    ],
    [
      'in every item',
      ['$.items[*].key'],
      '{"items":[{"key":"a"},{"key":{"b":1}},3]}',
      '{"items":[{"key":"***"},{"key":"***"},3]}',
    ],
    ['by index', ['$[0]', '$[-1]'], '[1,2,3]', '["***",2,"***"]'],
    [
      'at any depth',
      ['$..pin'],
      '{"pin":1,"a":[{"pin":[2]},{"b":{"pin":3}}]}',
      '{"pin":"***","a":[{"pin":"***"},{"b":{"pin":"***"}}]}',
    ],
    ['each time that a name is given', ['$.a'], '{"a":1,"a":2}', '{"a":"***","a":"***"}'],
    [
      'and numbers stay as they were',
      ['$.x'],
      '{"n":9007199254740993,"f":1.0,"2":1,"1":2}',
      '{"n":9007199254740993,"f":1.0,"2":1,"1":2}',
    ],
    ['a name like a method', ['$.__proto__'], '{"__proto__":{"a":1}}', '{"__proto__":"***"}'],
    ['under a name of no letters', ['$..pin'], '{"":{"pin":1}}', '{"":"***"}'],
  ] as const)
    test(name, () =>
      assert.deepEqual(record(text, 'application/json', { redact: paths(...redact) }), { bytes: text.length, text: masked }),
    )

  test('before the body is cut', () => {
    const text = `{"pad":"${'x'.repeat(30)}","pin":"123456"}`
    const recorded = record(text, 'application/json', { redact: paths('$.pin'), bodyBytes: text.length - 5 })
    assert.doesNotMatch(JSON.stringify(recorded), /123/)
  })

  for (const [name, text, because] of [
    ['JSON that is none', '{"pin":123', 'no JSON to mask fields in'],
    ['JSON that is too deep', `${'['.repeat(80)}${']'.repeat(80)}`, 'no JSON to mask fields in'],
    ['JSON that is too long', `"${'x'.repeat(1024 * 1024)}"`, 'too large to mask fields in'],
  ] as const)
    test(`${name} is left out whole`, () => {
      assert.deepEqual(record(text, 'application/json', { redact: paths('$.pin') }), { bytes: text.length, omitted: because })
    })
})

describe('a body that holds the credential of its call is left out', () => {
  const secret = 'sk_live_abcdef'
  for (const [name, text] of [
    ['as it is', `{"echo":"Bearer ${secret}"}`],
    ['in base64', JSON.stringify({ echo: Buffer.from(`user:${secret}`).toString('base64') })],
    ['where the cap goes through it', `{"pad":"${'x'.repeat(50)}${secret}"}`],
  ] as const)
    test(name, () =>
      assert.deepEqual(record(text, 'application/json', {}, secret), { bytes: text.length, omitted: 'it holds the credential' }),
    )

  test('in a charset of its own', () => {
    const text = Buffer.from('{"echo":"geheimé-sécret"}', 'latin1')
    assert.match(JSON.stringify(record(text, 'text/plain; charset=latin1', {}, 'geheimé-sécret')), /it holds the credential/)
  })

  test('but one whose field with it is masked is recorded', () => {
    assert.deepEqual(record(`{"echo":"${secret}","a":1}`, 'application/json', { redact: paths('$.echo') }, secret), {
      bytes: 31,
      text: '{"echo":"***","a":1}',
    })
  })
})
