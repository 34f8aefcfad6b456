import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { runWords } from './shell.ts'

const folder = mkdtempSync(join(tmpdir(), 'sallyport-explain-'))
after(() => rmSync(folder, { recursive: true }))
const FILE = join(folder, 'sallyport.yaml')
writeFileSync(
  FILE,
  JSON.stringify({
    callers: [
      { name: 'billing', keys: ['canary-key-of-billing'], may: [{ adapter: 'api', methods: ['GET'], paths: ['/v1/**'] }] },
      { name: 'idle', keys: ['canary-key-of-idle-one'] },
    ],
    adapters: [
      { name: 'api', mount: 'https://api.example.com/', credentials: 'api-token', headers: { 'X-Team': 'canary-value' } },
      { name: 'narrow', mount: 'https://narrow.example.com/', methods: ['GET'], paths: ['/open/*'], egress: { ports: [443] } },
      { name: 'inside', mount: 'https://ledger.internal/', egress: { allow: ['10.1.0.0/16'] } },
      { name: 'remote', mount: 'https://far.example.com/', proxy: { url: 'http://proxy.internal:3128', resolve: 'remote' } },
      { name: 'web', mount: 'https://', breaker: 'off', retry: { total: 0 } },
    ],
  }),
)

interface Told {
  readonly method: string
  readonly url: string | null
  readonly plan: Record<string, unknown>
  readonly addresses: string | null
  readonly callers: readonly { name: string; allowed: boolean; because: string }[]
  readonly error: { type: string; message: string } | null
}
async function explain(...words: string[]): Promise<{ code: number; told: Told; out: string }> {
  const { code, out, err } = await runWords(['config', 'explain', ...words, '--config', FILE, '--json'])
  assert.equal(err, '')
  return { code, told: JSON.parse(out), out }
}

const SENT: [name: string, words: string[], adapter: string, credential: string | null, addresses: RegExp][] = [
  [
    'the longest mount takes it',
    ['https://api.example.com/x'],
    'api',
    'api-token',
    /^global ones alone; judged when api.example.com/,
  ],
  ['the rest goes to the catch-all', ['https://other.example.com/'], 'web', null, /^global ones alone/],
  ['a login in the URL is its credential', ['https://u:canary@api.example.com/x'], 'api', 'basic', /^global/],
  ['private addresses that are listed', ['https://ledger.internal/'], 'inside', null, /^global ones and 10\.1\.0\.0\/16; judged/],
  ['an address that is global', ['https://8.8.8.8/'], 'web', null, /^8\.8\.8\.8 is global unicast$/],
  ['a proxy that resolves', ['https://far.example.com/'], 'remote', null, /^the proxy http:\/\/proxy\.internal:3128 resolves/],
]
describe('what would be sent exits with 0', () => {
  for (const [name, words, adapter, credential, addresses] of SENT)
    test(name, async () => {
      const { code, told, out } = await explain(...words)
      assert.deepEqual([told.error, code], [null, 0])
      assert.deepEqual([told.plan.adapter, told.plan.credential, told.plan.refusedBy], [adapter, credential, null])
      assert.match(told.addresses ?? '', addresses)
      assert.doesNotMatch(out, /canary/)
    })
})

const REFUSED: [name: string, words: string[], type: string, message: RegExp][] = [
  ['no adapter', ['http://api.example.com/'], 'EgressDenied', /no adapter is mounted on http:\/\/api\.example\.com/],
  ['no URL', ['api.example.com'], 'MissingSchema', /No scheme supplied/],
  ['a method that no call may have', ['https://h/', '--method', 'connect'], 'InvalidDescriptor', /method/],
  ['a method of the adapter', ['https://narrow.example.com/open/a', '--method', 'post'], 'Forbidden', /does not take POST/],
  ['a path of the adapter', ['https://narrow.example.com/shut'], 'Forbidden', /not among the paths/],
  ['a disguised path', ['https://narrow.example.com/open/%2fa'], 'Forbidden', /"%2f" in the path/],
  ['TRACE with a credential', ['https://api.example.com/', '--method', 'TRACE'], 'Forbidden', /TRACE would echo/],
  ['a private address', ['https://10.0.0.1/'], 'EgressDenied', /adapter "web" does not dial it: 10\.0\.0\.1 is private/],
  ['one in brackets', ['https://[::1]/'], 'EgressDenied', /::1 is loopback/],
  ['a metadata address', ['https://169.254.169.254/'], 'EgressDenied', /metadata/],
  ['a path of the caller', ['https://api.example.com/v2', '--caller', 'billing'], 'Forbidden', /billing.*on this path/],
  ['a caller who may nothing', ['https://api.example.com/', '--caller', 'idle'], 'Forbidden', /idle.*at all/],
]
describe('what would be refused exits with 1 and says why', () => {
  for (const [name, words, type, message] of REFUSED)
    test(name, async () => {
      const { code, told, out } = await explain(...words)
      assert.deepEqual([told.error?.type, code], [type, 1])
      assert.match(told.error?.message ?? '', message)
      assert.doesNotMatch(out, /canary/)
    })
})

test('without --caller the right of each is told, and refuses nobody', async () => {
  const { code, told } = await explain('https://api.example.com/v1/a')
  assert.equal(code, 0)
  assert.deepEqual(
    told.callers.map(({ name, allowed }) => [name, allowed]),
    [
      ['billing', true],
      ['idle', false],
    ],
  )
})

test('a caller that is not there is named beside those that are', async () => {
  const { code, err } = await runWords(['config', 'explain', 'https://api.example.com/', '--caller', 'biling', '--config', FILE])
  assert.deepEqual(
    [code, err],
    [2, 'sallyport: there is no caller "biling" in the configuration; its callers are billing, idle\n'],
  )
})

test('a person reads the same, and no value that an adapter adds', async () => {
  const { out, code } = await runWords([
    'config',
    'explain',
    'https://api.example.com/v1/a',
    '--method',
    'post',
    '--config',
    FILE,
  ])
  assert.equal(code, 0)
  assert.match(out, /^POST https:\/\/api\.example\.com\/v1\/a: would be sent\n {2}adapter {5}api, mounted on/)
  assert.match(out, /retry {7}2 more tries, only where nothing was sent yet/)
  assert.match(out, /adds {8}headers X-Team\n/)
  assert.match(out, /\n {4}billing {2}may not: .* with POST: its grant may\[0\] takes GET\n {4}idle {5}may not/)
  assert.doesNotMatch(out, /canary/)
  const web = await runWords(['config', 'explain', 'https://h/', '--config', FILE])
  assert.match(web.out, /retry {7}none\n {2}breaker {5}off\n/)
})

describe('config check', () => {
  test('what is right exits with 0 and says what is mounted, by SALLYPORT_CONFIG too', async () => {
    const { code, out } = await runWords(['config', 'check'], { env: { SALLYPORT_CONFIG: FILE } })
    assert.equal(code, 0)
    assert.match(
      out,
      /sallyport\.yaml is right: 5 adapters, 2 callers, 1 warning\n {2}api {5}https:\/\/api\.example\.com\/ +with api-token\n/,
    )
    assert.match(out, /\nwarning: .*sallyport\.yaml:\d+:\d+ adapters\[3\]\.proxy\.resolve is remote/)
    const { adapters, ...json } = JSON.parse((await runWords(['config', 'check', '--config', FILE, '--json'])).out)
    assert.deepEqual([json.ok, json.faults, json.warnings.length], [true, [], 1])
    assert.deepEqual(adapters[0], { name: 'api', mount: 'https://api.example.com/', credentials: 'api-token' })
  })

  test('faults come all at once, exit with 1, and in JSON with their places', async () => {
    const file = join(folder, 'broken.yaml')
    writeFileSync(file, 'adapters:\n  - name: a\n    mont: https://h/\ncalers: []\n')
    const { code, out, err } = await runWords(['config', 'check', '--config', file])
    assert.deepEqual([code, out], [1, ''])
    assert.match(err, /3 faults:.*broken\.yaml:3:5\n {4}adapters\[0\]\.mont is an unknown key; did you mean mount\?.*calers/s)
    const json = await runWords(['config', 'check', '--config', file, '--json'])
    const { ok, faults } = JSON.parse(json.out)
    assert.deepEqual([json.code, json.err, ok, faults.length, faults[1].key], [1, '', false, 3, 'adapters[0].mont'])
  })

  test('a file must be named: an unset variable is not a check that passed', async () => {
    const { code, out, err } = await runWords(['config', 'check'])
    assert.deepEqual([code, out], [2, ''])
    assert.match(err, /--config FILE, or SALLYPORT_CONFIG/)
  })
})
