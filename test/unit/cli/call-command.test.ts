// `sallyport call` against a real gateway: what comes out, where, and with which exit code.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { startGateway, type TestGateway } from '../../support/gateway.ts'
import { createScriptedUpstream, type Scripted, type ScriptedUpstream } from '../../support/scripted-upstream.ts'
import { type Ran, runWords } from './shell.ts'

const KEY = 'canary-key-of-the-billing-service'
const folder = mkdtempSync(join(tmpdir(), 'sallyport-call-'))
let upstream: ScriptedUpstream
let gateway: TestGateway

before(async () => {
  upstream = await createScriptedUpstream()
  gateway = await startGateway({
    adapters: [{ name: 'up', mount: `${upstream.origin}/`, egress: { allow: ['127.0.0.0/8'] }, retry: { total: 0 } }],
    config: { callers: [{ name: 'billing', keys: [KEY], may: [{ adapter: 'up' }] }] },
  })
})
after(async () => {
  await gateway.stop()
  await upstream.close()
  rmSync(folder, { recursive: true })
})

const file = (name: string, content: string): string => {
  writeFileSync(join(folder, name), content)
  return join(folder, name)
}

/** With the caller's key, through the test gateway. Whatever is shown, the key never is. */
async function call(
  words: readonly string[],
  { isTTY = false, env = { SALLYPORT_KEY: KEY } as Record<string, string> } = {},
): Promise<Ran> {
  const ran = await runWords(['call', ...words, '--gateway', gateway.url], { isTTY, env })
  assert.doesNotMatch(ran.out + ran.err, new RegExp(KEY))
  return ran
}

test('into a pipe go the bytes of the body and nothing else', async () => {
  const body = Buffer.from([0xff, 0x00, 0x0a, 0xfe])
  for (const [type, bytes] of [
    ['image/png', body],
    ['application/json', Buffer.from('{ "n": 2.0,\n"n": 9007199254740993 }')],
  ] as const) {
    upstream.answer({ headers: [['Content-Type', type]], body: bytes })
    const { code, bytes: out, err } = await call([`${upstream.origin}/x`])
    assert.deepEqual([code, out, err], [0, bytes, ''])
  }
})

test('a terminal gets status line, headers and an indented body', async () => {
  upstream.answer({ status: 201, reason: 'Made', headers: [['Content-Type', 'application/json']], body: '{"n":2.0}' })
  const { code, out } = await call([`${upstream.origin}/x`], { isTTY: true })
  assert.equal(code, 0)
  assert.match(
    out,
    /^201 Made {2}\(up, 1 attempt, \d+ ms\)\ncontent-type: application\/json\ncontent-length: 9\n\n\{\n {2}"n": 2\.0\n\}\n$/,
  )
})

test('the envelope comes whole, on one line into a pipe', async () => {
  upstream.answer({ headers: [['Content-Type', 'application/json']], body: '{"n":2.0}' })
  const piped = await call([`${upstream.origin}/x`, '--envelope'])
  assert.match(piped.out, /^\{"ok":true,.*"json":\{"n":2\.0\}.*\}\n$/)
  const shown = await call([`${upstream.origin}/x`, '--envelope'], { isTTY: true })
  assert.match(shown.out, /\n {2}"json": \{\n {4}"n": 2\.0\n {2}\},\n/)
})

test('what was typed is what the upstream receives', async () => {
  upstream.answer({})
  await call(['patch', `${upstream.origin}/x?a=1`, 'b==2', 'X-A: c', 'User-Agent:', 'n:=2.0', 'who=ann'])
  const json = upstream.last()
  assert.deepEqual([json.method, json.target, String(json.body)], ['PATCH', '/x?a=1&b=2', '{"n":2.0,"who":"ann"}'])
  assert.deepEqual(
    json.headers.filter(([name]) => /x-a|user-agent/i.test(name)),
    [['X-A', 'c']],
  )
  await call(['--form', `${upstream.origin}/x`, 'a=b c'])
  assert.deepEqual([upstream.last().method, String(upstream.last().body)], ['POST', 'a=b+c'])
  await call([`${upstream.origin}/x`, 'a=b', '--file', `doc=@${file('a.txt', 'hello')}`])
  assert.match(String(upstream.last().body), /name="a"\r\n\r\nb\r\n.*name="doc"; filename="a\.txt"\r\n\r\nhello\r\n/s)
})

const OUTCOMES: [name: string, script: Scripted, code: number][] = [
  ['399 is well', { status: 399 }, 0],
  ['400 is not', { status: 400, body: 'why' }, 1],
  ['nor is 503', { status: 503, body: 'why' }, 1],
]
describe('the exit code follows the status, and the body is written all the same', () => {
  for (const [name, script, code] of OUTCOMES)
    test(name, async () => {
      upstream.answer(script)
      const ran = await call([`${upstream.origin}/x`])
      assert.deepEqual([ran.code, ran.out, ran.err], [code, String(script.body ?? ''), ''])
    })
})

test('--retries and --timeout reach the gateway, and its warnings the person', async () => {
  let times = 0
  upstream.answer(() => ({ status: times++ === 0 ? 503 : 200 }))
  const { code, err } = await call([`${upstream.origin}/x`, '--retries', '1', '--timeout', '30h'])
  assert.deepEqual([code, times], [0, 2])
  assert.match(err, /^warning: timeout\.connect clamped to \d+\nwarning: timeout\.read clamped to \d+\n$/)
})

test('a refusal says what it was, what to do and how far it got', async () => {
  const { code, out, err } = await call(['http://nowhere.example/'])
  assert.deepEqual([code, out], [1, ''])
  assert.match(
    err,
    /^EgressDenied: no adapter is mounted on http:\/\/nowhere\.example; .*\nwhat to do: .*\nsent: no; .*; request id \S+\n$/,
  )
})

describe('the key', () => {
  test('comes from a file, white space around it left out', async () => {
    upstream.answer({})
    assert.equal((await call([`${upstream.origin}/x`, '--key-file', file('key', `${KEY}\n`)], { env: {} })).code, 0)
  })

  const REFUSED: [name: string, words: () => string[], env: Record<string, string>, message: RegExp][] = [
    ['none', () => [], {}, /^Unauthenticated: .*\nwhat to do: .*X-Sallyport-Key/],
    ['a wrong one', () => [], { SALLYPORT_KEY: 'another' }, /^Unauthenticated/],
    ['a file that is not there', () => ['--key-file', join(folder, 'none')], {}, /cannot read .*none \(ENOENT\)/],
    [
      'an empty file, not the environment',
      () => ['--key-file', file('empty', '')],
      { SALLYPORT_KEY: KEY },
      /empty must hold one key/,
    ],
    ['two keys', () => ['--key-file', file('two', `${KEY}\n${KEY}`)], {}, /two must hold one key/],
    ['one that no header can carry', () => [], { SALLYPORT_KEY: `${KEY}\u20ac` }, /SALLYPORT_KEY must hold one key/],
  ]
  for (const [name, words, env, message] of REFUSED)
    test(`refused: ${name}`, async () => {
      const { code, err } = await call([`${upstream.origin}/x`, ...words()], { env })
      assert.equal(code, 1)
      assert.match(err, message)
    })
})

const USAGE: [name: string, words: string[], message: RegExp][] = [
  ['no URL', [], /missing required argument/],
  ['an item that is none', ['http://h/', 'a'], /item 1 after the URL/],
  ['a file without a path', ['http://h/', '--file', 'a=b'], /--file is written name=@path/],
  ['retries that are no number', ['http://h/', '--retries', 'x'], /whole number/],
  ['a gateway that is no URL', ['http://h/', '--gateway', 'localhost'], /--gateway must be a URL/],
  ['a gateway with a login', ['http://h/', '--gateway', 'http://u:canary@h/'], /a key belongs in --key-file or SALLYPORT_KEY/],
  ['a key as an argument', ['http://h/', '--key', 'canary'], /unknown option '--key'/],
]
describe('what is not understood exits with 2', () => {
  for (const [name, words, message] of USAGE)
    test(name, async () => {
      const { code, out, err } = await runWords(['call', ...words])
      assert.deepEqual([code, out], [2, ''])
      assert.match(err, message)
      assert.doesNotMatch(err, /canary/)
    })
})

test('no gateway, or something else in its place, is told apart and says what to do', async () => {
  const other = createServer((_request, response) => response.writeHead(404).end('{"error": "no such path"}'))
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${(other.address() as AddressInfo).port}`
  const taken = await runWords(['call', 'http://h/', '--gateway', url])
  assert.deepEqual([taken.code, taken.out], [1, ''])
  assert.match(taken.err, /answered 404 and no envelope, so it is no Sallyport gateway; name another with --gateway/)
  await new Promise((resolve) => other.close(resolve))
  const gone = await runWords(['call', 'http://h/', '--gateway', url])
  assert.equal(gone.code, 1)
  assert.match(
    gone.err,
    /no answer from .* \(ECONNREFUSED\); start a gateway there with "npm start", or name another with --gateway/,
  )
})
