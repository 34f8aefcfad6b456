import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import fc from 'fast-check'
import { answerText, indentJson, type ReceivedEnvelope, remarks } from '../../../src/cli/show-answer.ts'

const anEnvelope = (over: Partial<ReceivedEnvelope> = {}): ReceivedEnvelope => ({
  ok: true,
  status: 200,
  reason: 'OK',
  headers: {},
  attempts: [{}],
  timings: { total: 12.4 },
  adapter: 'web',
  notRetried: null,
  warnings: [],
  requestId: 'r-1',
  error: null,
  ...over,
})
const withBody = (type: string | null, body: string | Buffer): ReceivedEnvelope =>
  anEnvelope({ headers: type === null ? {} : { 'content-type': type }, base64: Buffer.from(body).toString('base64') })

test('status, adapter, attempts and time stand in the first line, every header in its own', () => {
  const text = answerText(anEnvelope({ attempts: [{}, {}], headers: { 'x-a': 'b', 'set-cookie': ['c=1', 'd=2'] } }))
  assert.equal(text, '200 OK  (web, 2 attempts, 12 ms)\nx-a: b\nset-cookie: c=1\nset-cookie: d=2\n')
})

const BODIES: [name: string, type: string | null, body: string | Buffer, shown: string][] = [
  ['JSON is indented', 'application/json', '{"b":2.0,"a":[]}', '{\n  "b": 2.0,\n  "a": []\n}'],
  ['JSON that does not parse is text', 'application/json', '{"b"', '{"b"'],
  ['text in its charset', 'text/plain; charset=iso-8859-1', Buffer.from([0xe4]), 'ä'],
  ['bytes are counted', 'image/png', Buffer.from([0x89, 0x50]), '(2 bytes of image/png; write them to a file with "> FILE")'],
  ['bytes of no type too', null, 'ab', '(2 bytes of no declared type; write them to a file with "> FILE")'],
]
describe('a body at a terminal', () => {
  for (const [name, type, body, shown] of BODIES)
    test(name, () => assert.equal(answerText(withBody(type, body)).split('\n\n').slice(1).join('\n\n'), `${shown}\n`))
})

test('an upstream cannot drive the terminal', () => {
  const sly = withBody('text/plain; charset=utf-8', 'a\u001b[2J\u009b1m\rb\r\nc\td')
  const text = answerText({ ...sly, reason: 'OK\u001b]0;x\u0007' })
  assert.doesNotMatch(text, /[^\P{Cc}\t\n]/u)
  assert.match(text, /\na\ufffd\[2J\ufffd1m\ufffdb\nc\td\n$/)
  const error = { type: 'ConnectionError', message: 'x\u001b[2J', sent: 'no', retryable: false }
  assert.doesNotMatch(remarks(anEnvelope({ error, warnings: ['\u001b'] })).join(''), /\p{Cc}/u)
})

test('indented JSON is the same JSON, and without the added blanks the same text', () => {
  fc.assert(
    fc.property(fc.json(), (json) => {
      const indented = indentJson(json)
      assert.deepEqual(JSON.parse(indented), JSON.parse(json))
      assert.equal(indentJson(indented), indented)
    }),
  )
  assert.equal(
    indentJson('{"2":1,"1":[ {} , 1e2],"2":"a, b: {"}'),
    '{\n  "2": 1,\n  "1": [\n    {},\n    1e2\n  ],\n  "2": "a, b: {"\n}',
  )
})

const ERRORS: [name: string, error: ReceivedEnvelope['error'], lines: string[]][] = [
  [
    'a refusal',
    { type: 'BreakerOpen', message: 'the breaker is open', sent: 'no', retryable: true, retryAfter: 1500 },
    [
      'BreakerOpen: the breaker is open',
      'what to do: Wait for `retryAfter`; the upstream has been failing.',
      'sent: no; repeating it is safe, after 1500ms; request id r-1',
    ],
  ],
  [
    'a type that this version does not know',
    { type: 'Newer', message: 'm', sent: 'maybe', retryable: false },
    ['Newer: m', 'sent: maybe; repeating it as it is would not help, or is not safe; request id r-1'],
  ],
  [
    'several faults of a descriptor',
    {
      type: 'InvalidDescriptor',
      message: '2 faults',
      sent: 'no',
      retryable: false,
      detail: [
        { pointer: '/a', message: 'is wrong' },
        { pointer: '/b', message: 'too' },
      ],
    },
    [
      'InvalidDescriptor: 2 faults',
      '  /a  is wrong',
      '  /b  too',
      'what to do: Correct the keys that `detail` names; each entry has a JSON pointer.',
      'sent: no; repeating it as it is would not help, or is not safe; request id r-1',
    ],
  ],
]
describe('what a failure says', () => {
  for (const [name, error, lines] of ERRORS) test(name, () => assert.deepEqual(remarks(anEnvelope({ ok: false, error })), lines))
})
