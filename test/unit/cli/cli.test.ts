import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import { after, describe, test } from 'node:test'
import { createCallerAdministration } from '../../../src/callers/administration.ts'
import { runCli } from '../../../src/cli/cli.ts'
import type { CliPorts, CliStores } from '../../../src/cli/ports.ts'
import { createEphemeralSealer } from '../../../src/credentials/seal.ts'
import { parseKeys } from '../../../src/credentials/sources/key-source.ts'
import type { SecretStore } from '../../../src/model/ports.ts'
import { createMemorySecrets } from '../../../src/stores/memory-secrets.ts'
import { administer } from '../../support/secrets.ts'

const noCallers: CliStores['callers'] = createCallerAdministration({
  ...{ keys: null, configured: () => [], clock: { date: () => 0 }, lastUsed: async () => new Map() },
  changed: async () => {},
})
const dir = mkdtempSync(join(tmpdir(), 'sallyport-cli-'))
after(() => rmSync(dir, { recursive: true }))

/** A terminal or a pipe, and what came out of each command. */
function aShell({ sealed = true }: { readonly sealed?: boolean } = {}) {
  const secrets: SecretStore = createMemorySecrets()
  const sealer = createEphemeralSealer()
  const admin = administer({ store: secrets, sealer })
  const seen = { configs: [] as (string | null)[], served: [] as (string | null)[], closed: 0 }
  const run = async (argv: string, stdin: string, isTTY = false): Promise<{ code: number; out: string; err: string }> => {
    const collected = { out: '', err: '' }
    const collect = (into: 'out' | 'err'): Writable =>
      new Writable({
        write(chunk, _encoding, done) {
          collected[into] += String(chunk)
          done()
        },
      })
    const input = Object.assign(new PassThrough(), { isTTY })
    input.end(stdin)
    const ports: CliPorts = {
      serve: async (configFile) => void seen.served.push(configFile),
      async openStores(configFile) {
        seen.configs.push(configFile)
        return {
          secrets: sealed ? admin : null,
          callers: noCallers,
          who: 'ann',
          act: (_act, _subject, work) => work(),
          close: () => void seen.closed++,
        }
      },
      openTrail: () => Promise.reject(new Error('no trail here')),
      interrupted: () => AbortSignal.abort(),
      env: {},
      stdin: input,
      stdout: collect('out'),
      stderr: collect('err'),
    }
    const code = await runCli(argv.split(' '), ports)
    return { code, ...collected }
  }
  const stored = async (name: string) => {
    const { versions } = sealer.open(name, (await secrets.load(null))?.records.get(name) ?? '')
    return versions.at(-1)?.secret ?? assert.fail(`${name} has no values`)
  }
  return { run, stored, secrets, admin, seen }
}

const SET = 'secrets set github --scheme basic --origin https://api.github.com --caller billing'

describe('secrets set', () => {
  const GIVEN: [name: string, argv: string, stdin: string, isTTY: boolean][] = [
    ['JSON on standard input', SET, '{"username": "u", "password": "p=1 "}', false],
    ['key=value lines on standard input', SET, 'username=u\r\n\npassword=p=1 \n', false],
    ['standard input, asked for at a terminal', `${SET} --values -`, 'username=u\npassword=p=1 ', true],
    ['answers at a terminal', SET, 'u\np=1 \n', true],
  ]
  for (const [name, argv, stdin, isTTY] of GIVEN)
    test(name, async () => {
      const { run, stored, seen } = aShell()
      const { code, out, err } = await run(argv, stdin, isTTY)
      assert.deepEqual([code, out], [0, 'stored github, version 1\n'], err)
      assert.deepEqual(await stored('github'), {
        name: 'github',
        version: 1,
        scheme: 'basic',
        values: { username: 'u', password: 'p=1 ' },
        origins: ['https://api.github.com'],
        callers: ['billing'],
      })
      assert.doesNotMatch(out + err, /p=1/)
      assert.equal(seen.closed, 1)
    })

  test('what is optional is asked for as such at a terminal, and left out where nothing is entered', async () => {
    const { run, stored } = aShell()
    const argv = SET.replace('basic', 'oauth2-client-credentials')
    const { err } = await run(argv, 'https://auth.example/token\nid\ncanary\nbody\n\n\nresource=x\n', true)
    assert.match(err, /clientSecret \(not shown\): .*clientAuth \(optional, not shown\): /s)
    assert.doesNotMatch(err, /canary/)
    assert.deepEqual((await stored('github')).values, {
      ...{ tokenUrl: 'https://auth.example/token', clientId: 'id', clientSecret: 'canary' },
      ...{ clientAuth: 'body', params: 'resource=x' },
    })
  })

  test('a file, several origins and callers, --config, --json, and the next version', async () => {
    const { run, stored, seen } = aShell()
    const file = join(dir, 'values.json')
    writeFileSync(file, '{"token": "t"}')
    const argv = `secrets set github --scheme bearer --origin https://a.example --origin https://b.example --origin https://c.example --caller x --caller y --values ${file} --json --config my.yaml`
    await run(argv, '')
    const { out } = await run(argv, '')
    assert.deepEqual(JSON.parse(out), { name: 'github', version: 2, warnings: [] })
    const { origins, callers } = await stored('github')
    assert.deepEqual(
      [origins, callers],
      [
        ['https://a.example', 'https://b.example', 'https://c.example'],
        ['x', 'y'],
      ],
    )
    assert.deepEqual(seen.configs, ['my.yaml', 'my.yaml'])
  })

  const REFUSED: [name: string, argv: string, stdin: string, isTTY: boolean, code: number, message: RegExp][] = [
    ['no origin', 'secrets set github --scheme basic --caller x', '', false, 2, /--origin/],
    ['no caller', 'secrets set github --scheme basic --origin https://x', '', false, 2, /--caller/],
    ['an unknown scheme', SET.replace('basic', 'magic'), '', false, 1, /--scheme is one of basic, bearer/],
    ['a value as an argument', `${SET} canary`, '', false, 2, /too many arguments/],
    ['broken JSON, not repeated', SET, '{"password": "canary', false, 1, /begins as JSON but is none/],
    ['a number', SET, '{"username": 1, "password": "canary"}', false, 1, /"username" must be a string/],
    ['a line without a key', SET, 'canary', false, 1, /line 1: write key=value/],
    ['a value that is missing', SET, 'username=canary', false, 1, /values: password/],
    ['a file that is not there', `${SET} --values ${join(dir, 'none')}`, '', false, 1, /cannot read .*none \(ENOENT\)/],
    ['a terminal that is closed half way', SET, 'canary\n', true, 1, /no password was entered/],
    ['an origin with a path', SET.replace('github.com', 'github.com/x'), 'username=u\npassword=canary', false, 1, /without path/],
  ]
  for (const [name, argv, stdin, isTTY, code, message] of REFUSED)
    test(`refused: ${name}`, async () => {
      const { run, secrets } = aShell()
      const result = await run(argv, stdin, isTTY)
      assert.equal(result.code, code)
      assert.match(result.err, message)
      assert.doesNotMatch(result.out + result.err, /canary|\n {4}at /)
      assert.equal((await secrets.load(null))?.records.size, 0)
    })

  test('without a key nothing is stored, and it says what to do', async () => {
    const { run, seen } = aShell({ sealed: false })
    const { code, err } = await run(SET, 'username=u\npassword=p')
    assert.equal(code, 1)
    assert.match(err, /no sealing key.*keys generate.*store\.keyFile/)
    assert.equal(seen.closed, 1)
  })
})

describe('secrets list and delete', () => {
  test('what is listed has no values, and an edited record is shown as refused', async () => {
    const { run, secrets } = aShell()
    assert.equal((await run('secrets list', '')).out, 'no secrets are stored\n')
    await run(SET, 'username=canary-u\npassword=canary-p')
    const record = (await secrets.load(null))?.records.get('github') ?? ''
    await secrets.put('edited', record, { after: 0, revision: 1 })
    const { out } = await run('secrets list', '')
    assert.match(
      out,
      new RegExp(
        [
          '^name    version  state    scheme  origins                 callers  created            expires in  key',
          'github  1        current  basic   https://api.github.com  billing  \\S{16}Z  -           ephemeral',
          'edited  REFUSED  .*made for another\n$',
        ].join('\n'),
      ),
    )
    const json = await run('secrets list --json', '')
    const listed = JSON.parse(json.out) as { name: string; versions?: { scheme: string; state: string; createdAt: string }[] }[]
    assert.deepEqual(
      listed.map(({ name, versions }) => [name, versions?.[0]?.scheme, versions?.[0]?.state]),
      [
        ['edited', undefined, undefined],
        ['github', 'basic', 'current'],
      ],
    )
    assert.match(listed[1]?.versions?.[0]?.createdAt ?? '', /^\d{4}-.*\.\d{3}Z$/)
    assert.doesNotMatch(out + json.out, /canary/)
  })

  test('a deleted secret is gone; one that is not there is a failure', async () => {
    const { run, secrets } = aShell()
    await run(SET, 'username=u\npassword=p')
    assert.deepEqual(await run('secrets delete github', ''), { code: 0, out: 'deleted github\n', err: '' })
    assert.equal((await secrets.load(null))?.records.size, 0)
    const again = await run('secrets delete github', '')
    assert.deepEqual([again.code, again.err], [1, 'sallyport: there is no secret "github"\n'])
  })
})

describe('keys generate', () => {
  test('a line that a key file can hold, another each time', async () => {
    const { run } = aShell()
    const [one, two] = [await run('keys generate', ''), await run('keys generate', '')]
    const { keys } = parseKeys(one.out + two.out, 'test')
    assert.equal(new Set(keys.map(({ id, key }) => id + key.toString('hex'))).size, 2)
  })

  test('into a new file for its owner alone, and never over one that exists', async () => {
    const { run } = aShell()
    const file = join(dir, 'sallyport.key')
    const { out } = await run(`keys generate --output ${file} --json`, '')
    const text = readFileSync(file, 'utf8')
    assert.equal(parseKeys(text, 'test').active, (JSON.parse(out) as { id: string }).id)
    assert.equal(statSync(file).mode & 0o077, 0)
    const again = await run(`keys generate --output ${file}`, '')
    assert.equal(again.code, 1)
    assert.match(again.err, /exists/)
    assert.equal(readFileSync(file, 'utf8'), text)
  })
})

test('help is no failure; what is not understood is', async () => {
  const { run } = aShell()
  const help = await run('secrets --help', '')
  assert.equal(help.code, 0)
  assert.match(help.out, /set .*\n.*list .*\n.*delete/s)
  assert.equal((await run('secrets frobnicate', '')).code, 2)
})

test('without a sub-command the gateway starts, with the file that was given', async () => {
  const { run, seen } = aShell()
  await run('--config a.yaml', '')
  await run('serve --config b.yaml', '')
  await run('serve', '')
  assert.deepEqual(seen.served, ['a.yaml', 'b.yaml', null])
})

test('a store that cannot be opened is a failure with its reason', async () => {
  const errors: string[] = []
  const code = await runCli(['secrets', 'list'], {
    serve: async () => {},
    openStores: () => Promise.reject(new Error('sallyport.yaml:3: store.redis must be a URL')),
    openTrail: () => Promise.reject(new Error('no trail here')),
    interrupted: () => AbortSignal.abort(),
    env: {},
    stdin: new PassThrough(),
    stdout: new PassThrough(),
    stderr: new Writable({
      write(chunk, _encoding, done) {
        errors.push(String(chunk))
        done()
      },
    }),
  })
  assert.equal(code, 1)
  assert.deepEqual(errors, ['sallyport: sallyport.yaml:3: store.redis must be a URL\n'])
})
