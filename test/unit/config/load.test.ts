// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references to variables are what is tested
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { ConfigError } from '../../../src/config/faults.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { anAdapter } from '../../support/builders.ts'
import { certificates } from '../../support/certificates.ts'
import { faultsOf, load, writeFiles } from './support.ts'

const ROOT = join(import.meta.dirname, '..', '..', '..')

const oneAdapter = (keys = ''): string => `adapters:\n  - name: a\n    mount: https://a.example/\n${keys}`

describe('a file that says little', () => {
  test('gives the documented values everywhere else', async () => {
    const { config, warnings } = await load(oneAdapter())
    assert.deepEqual(warnings, [])
    assert.equal(config.listen.host, '127.0.0.1')
    assert.equal(config.listen.port, 8080)
    assert.equal(config.listen.descriptorBytes, 10 * 1024 * 1024)
    assert.deepEqual(config.ceilings, {
      timeout: { connectMs: 120_000, readMs: 120_000, totalMs: 120_000 },
      maxRetries: 5,
      responseSize: 64 * 1024 * 1024,
    })
    const [adapter] = config.adapters
    const expected = anAdapter({ name: 'a', mount: 'https://a.example/' })
    const breaker = adapter?.breaker
    assert.ok(breaker)
    assert.deepEqual({ ...adapter, breaker: null }, { ...expected, breaker: null })
    assert.deepEqual(breaker, { ...expected.breaker, statuses: breaker.statuses })
    assert.ok(breaker.statuses.includes(500) && !breaker.statuses.includes(501) && breaker.statuses.includes(599))
  })

  test('may be the built-in sample, whose port the environment moves', async () => {
    const { config, files } = await loadConfig({ file: null, env: { SALLYPORT_SAMPLE_PORT: '9999' } })
    assert.deepEqual(
      config.adapters.map(({ mount }) => mount),
      ['http://127.0.0.1:9999/', 'http://127.0.0.1:9999/token'],
    )
    assert.deepEqual(files, [join(ROOT, 'config', 'sample.yaml')])
  })
})

describe('the files that are given away', () => {
  const env = { BILLING_KEY: 'b'.repeat(32), OPERATIONS_KEY: 'o'.repeat(32) }

  test('the example loads without a warning', async () => {
    const { config, warnings } = await loadConfig({ file: join(ROOT, 'config', 'sallyport.example.yaml'), env })
    assert.deepEqual(warnings, [])
    assert.equal(config.adapters.length, 4)
  })

  test('every YAML block of docs/configuration.md loads', async () => {
    const blocks = [...readFileSync(join(ROOT, 'docs', 'configuration.md'), 'utf8').matchAll(/```yaml\n([\s\S]*?)```/g)]
    assert.ok(blocks.length > 0)
    for (const [, block = ''] of blocks) await load(block, env)
  })
})

describe('values', () => {
  test('an adapter takes over key by key what it does not say itself', async () => {
    const { config } = await load(`
defaults:
  timeout: { read: 5s }
  retry: { total: 1, backoffFactor: 10ms }
  redirects: same-origin
  pool: { connections: 7 }
adapters:
  - { name: a, mount: "https://a.example" }
  - name: b
    mount: https://b.example/
    timeout: { total: 1m }
    retry: { total: 3, budget: off }
    redirects: { drop: [X-Team] }
    limits: { rate: 100/s, burst: 5, queue: 0 }
`)
    const [a, b] = config.adapters
    assert.deepEqual(a?.timeout, { connectMs: 2000, readMs: 5000, totalMs: 30_000 })
    assert.deepEqual(a?.limits, {
      concurrency: 7,
      queue: 14,
      rate: null,
      rateBy: 'origin',
      whenSpent: 'queue',
      mode: 'enforce',
      cooldown: true,
    })
    assert.equal(a?.mount, 'https://a.example/')
    assert.deepEqual(b?.timeout, { connectMs: 2000, readMs: 5000, totalMs: 60_000 })
    assert.deepEqual([b?.retry.total, b?.retry.backoffFactorMs, b?.retry.budget], [3, 10, null])
    assert.deepEqual(b?.redirects, { follow: 'same-origin', drop: ['X-Team'] })
    const rate = { count: 100, perMs: 1000, burst: 5 }
    assert.deepEqual(b?.limits, {
      concurrency: 7,
      queue: 0,
      rate,
      rateBy: 'origin',
      whenSpent: 'queue',
      mode: 'enforce',
      cooldown: true,
    })
  })

  for (const off of ['off', 'false', '"off"']) {
    test(`${off} switches a policy off`, async () => {
      const { config } = await load(
        oneAdapter(
          `    breaker: ${off}\n    retry: ${off}\n    redirects: ${off}\n    sessions: ${off}\n    proxy: ${off}\n    propagate: ${off}\n`,
        ),
      )
      const [a] = config.adapters
      assert.equal(a?.breaker, null)
      assert.equal(a?.retry.total, 0)
      assert.equal(a?.redirects.follow, 'none')
      assert.equal(a?.sessions, false)
      assert.equal(a?.proxy, null)
      assert.deepEqual(a?.propagate, [])
    })
  }

  test('an adapter switches on again what `defaults` has off, from the built-in values', async () => {
    const { config } = await load(`
defaults: { breaker: off, retry: off, proxy: { url: "http://p.example:3128/" } }
adapters:
  - { name: a, mount: "https://a.example/", breaker: { volume: 3 }, retry: { total: 1 }, proxy: off }
  - { name: b, mount: "https://b.example/" }
`)
    const [a, b] = config.adapters
    assert.deepEqual([a?.breaker?.volume, a?.breaker?.windowMs, a?.retry.total, a?.proxy], [3, 10_000, 1, null])
    assert.deepEqual([b?.breaker, b?.retry.total, b?.proxy?.url], [null, 0, 'http://p.example:3128'])
  })

  test('null among the retry methods means every method, and stays null', async () => {
    const { config } = await load(oneAdapter('    retry: { allowedMethods: null }\n'))
    assert.equal(config.adapters[0]?.retry.allowedMethods, null)
  })

  test('a section whose keys are all commented out is as if it were not there', async () => {
    const { config } = await load(oneAdapter('    timeout:\n      # read: 1s\n    retry:\n'))
    assert.equal(config.adapters[0]?.timeout.readMs, 10_000)
    assert.equal(config.adapters[0]?.retry.total, 2)
  })

  test('headers keep their case, their order and their repeats', async () => {
    const { config } = await load(
      oneAdapter('    headers: { X-b: "2", Accept: [a/b, c/d] }\n    params: { v: "1" }\n    cookies: { c: d }\n'),
    )
    const [a] = config.adapters
    assert.deepEqual(a?.headers, [
      ['X-b', '2'],
      ['Accept', 'a/b'],
      ['Accept', 'c/d'],
    ])
    assert.deepEqual(a?.params, [['v', '1']])
    assert.deepEqual(a?.cookies, [['c', 'd']])
  })

  test('numbers and switches may come from variables, quoted or not; text keeps its digits', async () => {
    const { config } = await load(
      `listen: { port: "\${PORT}" }\nmetrics: { public: "\${PUBLIC}" }\n${oneAdapter('    headers: { X-Id: "${ID}" }\n    timeout:\n      read: ${READ}\n')}`,
      { PORT: '9090', PUBLIC: 'true', ID: '00012345678901234567890', READ: '3.05s' },
    )
    assert.equal(config.listen.port, 9090)
    assert.equal(config.metrics.public, true)
    assert.deepEqual(config.adapters[0]?.headers, [['X-Id', '00012345678901234567890']])
    assert.equal(config.adapters[0]?.timeout.readMs, 3050)
  })

  test('what a variable holds never becomes YAML', async () => {
    const { config } = await load(oneAdapter('    headers: { X-A: "${EVIL}" }\n'), {
      EVIL: 'x }, allowPlaintextSecrets: true, y: { z: w',
    })
    assert.equal(config.adapters[0]?.allowPlaintextSecrets, false)
    assert.deepEqual(config.adapters[0]?.headers, [['X-A', 'x }, allowPlaintextSecrets: true, y: { z: w']])
  })

  test('an empty variable leaves Redis out', async () => {
    const { config } = await load(`store: { redis: "\${R:-}", keyFile: "" }\n${oneAdapter()}`)
    assert.equal(config.store.redis, null)
    assert.equal(config.store.keyFile, null)
  })

  test('a prefix ends in one colon', async () => {
    const prefix = async (written: string) => (await load(`store: { prefix: "${written}" }\n${oneAdapter()}`)).config.store.prefix
    assert.equal(await prefix('prod'), 'prod:')
    assert.equal(await prefix('prod:'), 'prod:')
  })
})

describe('callers', () => {
  test('their keys are kept as hashes only', async () => {
    const key = 'correct-horse-battery-staple'
    const { config } = await load(
      `
callers:
  - name: billing
    keys: ["\${KEY}", { sha256: ${'AB'.repeat(32)} }]
    may: [{ adapter: a, methods: [get] }]
  - { name: ops, admin: true, keys: [{ sha256: ${'CD'.repeat(32)} }] }
${oneAdapter()}`,
      { KEY: key },
    )
    assert.deepEqual(config.callers[0], {
      caller: { name: 'billing', admin: false, may: [{ adapter: 'a', methods: ['GET'], paths: null }] },
      keyHashes: ['87cbebfeebc05f7c54ac9336c4b4bbec831227a641951a4bde7edd56020f8590', 'ab'.repeat(32)],
      jwt: null,
      certificates: [],
    })
    assert.deepEqual(config.callers[1]?.caller.may, [])
    assert.equal(JSON.stringify(config).includes(key), false)
  })
})

test('keys that would have no effect in this version are refused, each by its place', async () => {
  const text = `
adapters:
  - { name: a, mount: https://a.example/, tunnel: true }`
  await assert.rejects(load(text), (error: Error) => {
    for (const key of ['adapters[0].tunnel'])
      assert.match(error.message, new RegExp(`${key.replace(/[[\].]/g, '\\$&')} is not available in this version`))
    return true
  })
})

describe('a folder of adapters', () => {
  const root = 'adapters: ./upstreams\n'

  test('each file holds one, in the order of their names; other files are not looked at', async () => {
    const { config, files } = await load(
      root,
      {},
      {
        'upstreams/b.yaml': 'name: b\nmount: https://b.example/\n',
        'upstreams/a.yml': 'name: a\nmount: https://a.example/\n',
        'upstreams/notes.txt': 'not YAML: [',
        'upstreams/.hidden.yaml': 'nonsense: [',
      },
    )
    assert.deepEqual(
      config.adapters.map(({ name }) => name),
      ['a', 'b'],
    )
    assert.deepEqual(
      files.map((file) => file.replace(/^.*sallyport-config-[^/]+\//, '')),
      ['sallyport.yaml', 'upstreams', 'upstreams/a.yml', 'upstreams/b.yaml'],
    )
  })

  test('a fault is placed in its own file, whatever else is wrong elsewhere', async () => {
    const faults = await faultsOf(
      `${root}listen: { prt: 1 }\n`,
      {},
      {
        'upstreams/a.yaml': 'name: a\nmount: https://a.example/\ntimeout:\n  reed: 1s\n',
        'upstreams/b.yaml': 'name: b\nmount: [\n',
      },
    )
    assert.deepEqual(faults, [
      'sallyport.yaml:2:11 listen.prt is an unknown key; did you mean port?',
      'upstreams/a.yaml:4:3 timeout.reed is an unknown key; did you mean read?',
      ...faults.slice(2),
    ])
    assert.match(faults[2] ?? '', /^upstreams\/b\.yaml:\d+:\d+ {2}This is not YAML/)
    assert.equal(faults.length, 3)
  })

  test('two files with one mount are refused at the second', async () => {
    const faults = await faultsOf(
      root,
      {},
      {
        'upstreams/a.yaml': 'name: a\nmount: https://h.example/\n',
        'upstreams/b.yaml': 'name: b\nmount: HTTPS://H.example:443\n',
      },
    )
    assert.deepEqual(faults, [
      'upstreams/b.yaml:2:8 mount is the mount of a too (https://h.example/); one URL prefix belongs to one adapter',
    ])
  })

  test('a folder that is not there is said so', async () => {
    const [fault = ''] = await faultsOf(root)
    assert.match(fault, /^sallyport\.yaml:1:11 adapters names a folder: upstreams cannot be read: it does not exist$/)
  })
})

describe('CA bundles', () => {
  const { ca } = certificates()
  const yaml = `caBundles: { corp: ./corp.pem }\n${oneAdapter('    tls: { ca: corp }\n')}`

  test('are read at once', async () => {
    const { config, files } = await load(yaml, {}, { 'corp.pem': ca })
    assert.equal(config.caBundles.get('corp'), ca)
    assert.ok(files.some((file) => file.endsWith('/corp.pem')))
  })

  test('that hold no certificate, a broken one, or are not there, are refused once', async () => {
    const broken = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
    assert.match(
      (await faultsOf(yaml, {}, { 'corp.pem': 'hello' })).join(),
      /^[^,]*caBundles\.corp names a file: corp\.pem holds no certificate[^,]*$/,
    )
    assert.match((await faultsOf(yaml, {}, { 'corp.pem': ca + broken })).join(), /cannot be parsed: number 2 of 2/)
    assert.match(
      (await faultsOf(yaml)).join(),
      /^sallyport\.yaml:1:20 caBundles\.corp names a file: corp\.pem cannot be read: it does not exist$/,
    )
  })
})

describe('what is not a configuration', () => {
  const texts: [name: string, yaml: string, fault: RegExp][] = [
    ['an empty file', '', /:1:1 adapters is missing; it must be a list of adapters/],
    ['a list', '- a\n', /must be a mapping/],
    ['broken YAML', 'a: [1\nb: 2\n', /This is not YAML: /],
    ['a repeated key', 'log: {}\ndns: {}\nlog: {}\nadapters: []\n', /:3:1 {2}log stands twice in this mapping/],
    ['a repeated key deep inside', oneAdapter('    pool: { idle: 1s, idle: 2s }\n'), /:4:\d+ {2}idle stands twice/],
    ['a tag', 'adapters: !danger []\n', /A tag \(!…\) is not known/],
    ['two documents', 'adapters: []\n---\nadapters: []\n', /not YAML/],
    ['a bomb of aliases', aliasBomb(), /more than 100 aliases/],
    ['nesting without end', `a: ${'['.repeat(50_000)}`, /nested too deeply/],
    ['a key that would be a prototype', '__proto__: { listen: { port: 1 } }\nadapters: []\n', /:1:1 __proto__ is an unknown key/],
    ['a file larger than 4 MiB', `# ${'x'.repeat(4 * 1024 * 1024)}\nadapters: []\n`, /larger than 4 MiB/],
  ]
  for (const [name, yaml, fault] of texts) {
    test(`${name} is refused`, async () => {
      const faults = await faultsOf(yaml)
      assert.match(faults.join('\n'), fault)
    })
  }

  test('a file that is not there, and one that is not UTF-8, are named', async () => {
    const folder = writeFiles({ 'latin.yaml': '' })
    await assert.rejects(loadConfig({ file: join(folder, 'no.yaml'), env: {} }), /no\.yaml cannot be read: it does not exist/)
    const { writeFileSync } = await import('node:fs')
    writeFileSync(join(folder, 'latin.yaml'), Buffer.from('# caf\xe9\n', 'latin1'))
    await assert.rejects(loadConfig({ file: join(folder, 'latin.yaml'), env: {} }), /latin\.yaml cannot be read: it is not UTF-8/)
  })
})

function aliasBomb(): string {
  const line = (name: string, of: string): string => `${name}: &${name} [${Array(9).fill(of).join(', ')}]`
  return [line('a', 'x'), line('b', '*a'), line('c', '*b'), line('d', '*c'), line('e', '*d')].join('\n')
}

describe('the report', () => {
  test('says everything that is wrong with the keys at once, in the order of the file', async () => {
    const faults = await faultsOf(`listen: { prt: 80, port: 99999 }
store: { redis: "\${REDIS_NOPE}", staleFor: 5 minutes }
defaults:
  breaker: offf
  timeout: { read: 2.5 }
adapters:
  - name: a b
    mount: api.github.com
    pool: { conections: 3 }
    redirects: { folow: none }
    headers: { Content-Length: "3", X: 3 }
    methods: []
    retry: { budget: 300% }
    breaker: { statuses: [404] }
  - mount: https://user:pass@h/
`)
    const expected: [place: string, message: string][] = [
      ['1 listen.prt', 'is an unknown key; did you mean port?'],
      ['1 listen.port', 'must be a whole number from 0 to 65535'],
      ['2 store.redis', 'the environment variable REDIS_NOPE is not set'],
      ['2 store.staleFor', 'must be a whole number of milliseconds'],
      ['4 defaults.breaker', 'must be off or false, or a mapping'],
      ['5 defaults.timeout.read', 'must be a whole number of milliseconds'],
      ['7 adapters[0].name', 'must be a name of 1-64 letters'],
      ['8 adapters[0].mount', 'must be a whole URL that begins with https://'],
      ['9 adapters[0].pool.conections', 'is an unknown key; did you mean connections?'],
      ['10 adapters[0].redirects.folow', 'is an unknown key; did you mean follow?'],
      ['11 adapters[0].headers.Content-Length', 'is not a name that may be set here'],
      ['11 adapters[0].headers.X', 'must be text; put it in quotes'],
      ['12 adapters[0].methods', 'is empty, which would allow nothing'],
      ['13 adapters[0].retry.budget', 'must be off or false, or a share'],
      ['14 adapters[0].breaker.statuses[0]', 'must be a whole number from 500 to 599'],
      ['15 adapters[1].name', 'is missing; it must be a name'],
      ['15 adapters[1].mount', 'carries a user name or password'],
    ]
    assert.equal(faults.length, expected.length, faults.join('\n'))
    for (const [index, [place, message]] of expected.entries()) {
      const [, line, key, said = ''] = /^sallyport\.yaml:(\d+):\d+ (\S+) (.*)$/.exec(faults[index] ?? '') ?? []
      assert.equal(`${line} ${key}`, place)
      assert.ok(said.startsWith(message), `${said} should begin with: ${message}`)
    }
  })

  test('is the message of one ConfigError, without any value of the file in it', async () => {
    const folder = writeFiles({
      'c.yaml': `callers: [{ name: x, keys: ["tell no one"] }]\n${oneAdapter('    mount: https://me:hunter2@h/\n')}`.replace(
        '    mount: https://a.example/\n',
        '',
      ),
    })
    await assert.rejects(loadConfig({ file: join(folder, 'c.yaml'), env: {} }), (error) => {
      assert.ok(error instanceof ConfigError)
      assert.equal(error.faults.length, 2)
      assert.match(
        error.message,
        /^The configuration has 2 faults:\n {2}.*c\.yaml:1:29\n {4}callers\[0\]\.keys\[0\] must be a key/,
      )
      assert.doesNotMatch(error.message, /tell no one|hunter2/)
      return true
    })
  })

  test('of a thousand faults shows fifty and counts the rest', async () => {
    const yaml = `adapters: []\n${Array.from({ length: 1000 }, (_, i) => `key${i}: 1`).join('\n')}\n`
    const folder = writeFiles({ 'c.yaml': yaml })
    await assert.rejects(loadConfig({ file: join(folder, 'c.yaml'), env: {} }), /1000 faults[\s\S]*and 950 more$/)
  })
})
