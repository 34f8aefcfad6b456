// biome-ignore-all lint/suspicious/noTemplateCurlyInString: references to variables are what is tested
// `store.redis`: every kind of Redis as it is written, and every combination that is refused.
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { loadConfig } from '../../../src/config/load.ts'
import { nameRedis, parseRedisAddress, type RedisTarget } from '../../../src/model/redis-target.ts'
import { certificates } from '../../support/certificates.ts'
import { writeFiles } from './support.ts'

const { ca, client, good } = certificates()
const FILES = {
  'redis-ca.pem': ca,
  'redis-client.pem': client.cert,
  'redis-client.key': client.key,
  'other.key': good.key,
  k: 'k',
}
const ENV = { REDIS_PASSWORD: 'canary-p%40ss', SENTINEL_PASSWORD: 'canary-sentinel' }

async function loadStore(store: string, env: Record<string, string> = ENV) {
  const folder = writeFiles({ ...FILES, 'sallyport.key': 'k', 'sallyport.yaml': `${store}\nadapters: []\n` })
  return loadConfig({ file: join(folder, 'sallyport.yaml'), env })
}

async function target(store: string, env?: Record<string, string>): Promise<RedisTarget | null> {
  return (await loadStore(store, env)).config.store.redis
}

/** The report's lines, without file and position. */
async function faults(store: string, env?: Record<string, string>): Promise<string[]> {
  const error: unknown = await loadStore(store, env).then(
    () => null,
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof Error, `accepted: ${store}`)
  assert.doesNotMatch(error.message, /canary/)
  return error.message
    .split('\n')
    .filter((line) => line.startsWith('    '))
    .map((line) => line.trim())
}

const NONE = { username: null, password: null }
const PLAIN_TLS = { ca: null, cert: null, key: null, serverName: null }

describe('one server by its URL', () => {
  const common = { kind: 'single', database: 0, login: NONE, tls: null }
  const URLS: readonly (readonly [url: string, expected: object])[] = [
    ['redis://redis.internal', { ...common, address: { host: 'redis.internal', port: 6379 } }],
    ['redis://[::1]:7000/', { ...common, address: { host: '::1', port: 7000 } }],
    ['redis://:s%40cret@h:1/15', { ...common, address: { host: 'h', port: 1 }, database: 15, login: { username: null, password: 's@cret' } }],
    ['redis://u:p@h', { ...common, address: { host: 'h', port: 6379 }, login: { username: 'u', password: 'p' } }],
    ['rediss://h', { ...common, address: { host: 'h', port: 6379 }, tls: PLAIN_TLS }],
  ] // biome-ignore format: one a line
  for (const [url, expected] of URLS)
    test(url, async () => {
      assert.deepEqual(await target('store: { redis: "${REDIS_URL}" }', { REDIS_URL: url }), expected)
      assert.deepEqual(await target('store: { redis: { url: "${REDIS_URL}" } }', { REDIS_URL: url }), expected)
    })

  test('empty text is none', async () => {
    assert.equal(await target('store: { redis: "${REDIS_URL:-}" }'), null)
    assert.equal(await target('store: {}'), null)
  })

  const WRONG: readonly (readonly [url: string, said: RegExp])[] = [
    ['http://canary@h', /^store\.redis must be a URL such as redis:\/\/redis\.internal:6379\/0, or rediss:\/\/ for TLS/],
    ['redis://', /^store\.redis must be a URL/],
    ['canary', /^store\.redis must be a URL/],
    ['redis://h/canary', /^store\.redis has a path that is no database number/],
    ['redis://h?enableOfflineQueue=true', /^store\.redis goes on after the database number/],
    ['redis://u:canary%@h', /^store\.redis has a user or password with a % in it/],
  ]
  for (const [url, said] of WRONG)
    test(`${url} is refused without being repeated`, async () => {
      const [first, ...more] = await faults('store: { redis: "${REDIS_URL}" }', { REDIS_URL: url })
      assert.match(first ?? '', said)
      assert.deepEqual(more, [])
    })
})

describe('every example of docs/redis.md', () => {
  const text = readFileSync(join(import.meta.dirname, '..', '..', '..', 'docs', 'redis.md'), 'utf8')
  const examples = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, yaml = '']) => yaml)
  const targets = () => Promise.all(examples.map((yaml) => target(yaml)))

  test('loads, and is what it says', async () => {
    const found = await targets()
    assert.deepEqual(
      found.map((one) => one?.kind),
      ['single', 'single', 'sentinel', 'cluster'],
    )
    for (const one of found) assert.deepEqual(one?.login, { username: 'sallyport', password: one?.kind === 'single' && !one.tls ? 'canary-p@ss' : 'canary-p%40ss' }) // biome-ignore format: one line
    const [, tls, sentinel] = found
    assert.deepEqual(tls?.tls, { ca, cert: client.cert, key: client.key, serverName: null })
    assert.ok(sentinel?.kind === 'sentinel')
    assert.deepEqual(sentinel.sentinels.at(-1), { host: 'sentinel-3.internal', port: 26_379 })
    assert.deepEqual(sentinel.sentinelLogin, { username: 'sallyport', password: 'canary-sentinel' })
  })

  test('has a name that shows where it is and no password', async () => {
    const names = (await targets()).map((one) => (one ? nameRedis(one) : ''))
    assert.equal(names[0], 'redis at redis.internal:6379')
    assert.match(names[2] ?? '', /^redis mymaster of the sentinels sentinel-1\.internal:26379, /)
    assert.match(names[3] ?? '', /^redis cluster of redis-1\.internal:6379, /)
    assert.doesNotMatch(names.join(), /canary/)
  })

  test('is watched with its files', async () => {
    const { files } = await loadStore(examples[1] ?? '')
    for (const name of ['redis-ca.pem', 'redis-client.pem', 'redis-client.key'])
      assert.ok(files.some((file) => file.endsWith(`/${name}`)))
  })
})

describe('what is left out', () => {
  const sentinels = 'sentinels: "s1,s2:26380,[::1]:26381", master: m'

  test('ports are the standard ones, and a list may be text with commas', async () => {
    const found = await target(`store: { redis: { ${sentinels} } }`)
    assert.ok(found?.kind === 'sentinel')
    assert.deepEqual(found.sentinels, [
      { host: 's1', port: 26_379 },
      { host: 's2', port: 26_380 },
      { host: '::1', port: 26_381 },
    ])
    assert.deepEqual([found.database, found.login, found.tls, found.sentinelTls], [0, NONE, null, null])
  })

  test('TLS to the sentinels is as to the servers, unless it says otherwise', async () => {
    const sentinelTls = async (keys: string) => {
      const found = await target(`store: { redis: { ${sentinels}, tls: { ca: redis-ca.pem }, ${keys} } }`)
      return found?.kind === 'sentinel' ? found.sentinelTls : undefined
    }
    assert.deepEqual(await sentinelTls(''), { ...PLAIN_TLS, ca })
    assert.equal(await sentinelTls('sentinelTls: off'), null)
    assert.deepEqual(await sentinelTls('sentinelTls: { serverName: s }'), { ...PLAIN_TLS, serverName: 's' })
  })

  test('keys of the section add to the URL', async () => {
    const found = await target(
      'store: { redis: { url: "rediss://h", password: "${REDIS_PASSWORD}", db: 3, tls: { ca: redis-ca.pem } } }',
    )
    assert.ok(found?.kind === 'single')
    assert.deepEqual([found.database, found.login.password, found.tls?.ca], [3, 'canary-p%40ss', ca])
  })

  test('a NAT map is read for what it is', async () => {
    const found = await target('store: { redis: { cluster: [n1], natMap: { "10.0.0.1:6379": "n1:16379" } }, prefix: "{p}" }')
    assert.ok(found?.kind === 'cluster')
    assert.deepEqual(found.natMap, { '10.0.0.1:6379': { host: 'n1', port: 16_379 } })
  })
})

describe('what is refused, by name', () => {
  const SENTINEL = 'sentinels: [s1], master: m'
  const CASES: readonly (readonly [redis: string, ...said: readonly RegExp[]])[] = [
    ['{}', /^store\.redis names no server; give it url, sentinels or cluster/],
    ['{ url: "" }', /^store\.redis names no server/],
    ['{ url: "redis://h", sentinels: [s], master: m }', /^store\.redis\.sentinels stands beside store\.redis\.url; keep one/],
    [`{ ${SENTINEL}, cluster: [n] }`, /^store\.redis\.cluster stands beside store\.redis\.sentinels; keep one/, /^store\.prefix/],
    ['{ sentinels: [s1] }', /^store\.redis\.master is missing/],
    ['{ sentinels: [] , master: m }', /^store\.redis\.sentinels must be a list of host:port, such as redis-1\.internal:26379$/],
    ['{ sentinels: [s1, "x y"], master: m }', /^store\.redis\.sentinels must be a list .*; number 2 is none/],
    ['{ cluster: ["redis://n1"] }', /^store\.redis\.cluster must be a list of host:port, .*number 1 is none/],
    ['{ url: "redis://h", master: m }', /^store\.redis\.master is for store\.redis\.sentinels; leave it out/],
    ['{ url: "redis://h", sentinelPassword: canary }', /^store\.redis\.sentinelPassword is for store\.redis\.sentinels/],
    ['{ url: "redis://h", natMap: {} }', /^store\.redis\.natMap is for store\.redis\.sentinels and store\.redis\.cluster/],
    [`{ ${SENTINEL}, natMap: { x: y } }`, /^store\.redis\.natMap must map each host:port/],
    [`{ ${SENTINEL}, username: u }`, /^store\.redis\.username stands without store\.redis\.password/],
    [`{ ${SENTINEL}, sentinelUsername: u }`, /^store\.redis\.sentinelUsername stands without store\.redis\.sentinelPassword/],
    ['{ url: "redis://:canary@h", password: canary2 }', /^store\.redis\.password stands in store\.redis\.url too/],
    ['{ url: "redis://h/2", db: 3 }', /^store\.redis\.db is another database than that of store\.redis\.url/],
    ['{ url: "redis://h", tls: {} }', /^store\.redis\.url says redis:\/\/, which is without TLS.*write rediss:\/\//],
    [`{ ${SENTINEL}, tls: { cert: redis-client.pem } }`, /^store\.redis\.tls\.cert stands without store\.redis\.tls\.key/],
    [`{ ${SENTINEL}, sentinelTls: { key: other.key } }`, /^store\.redis\.sentinelTls\.key stands without store\.redis\.sentinelTls\.cert/],
    [`{ ${SENTINEL}, tls: { cert: redis-client.pem, key: other.key } }`, /^store\.redis\.tls\.key is not the private key of/],
    [`{ ${SENTINEL}, tls: { ca: nowhere.pem } }`, /^store\.redis\.tls\.ca names a file: .*does not exist/],
    [`{ ${SENTINEL}, tls: { ca: k } }`, /^store\.redis\.tls\.ca names a file: .*holds no certificate/],
    [`{ ${SENTINEL}, tls: { cert: redis-client.pem, key: redis-ca.pem } }`, /^store\.redis\.tls\.key names a file: .*holds no private key/],
    [`{ ${SENTINEL}, passwort: canary }`, /^store\.redis\.passwort is an unknown key; did you mean password/],
  ] // biome-ignore format: one a line
  for (const [redis, ...said] of CASES)
    test(redis, async () => {
      const found = await faults(`store:\n  redis: ${redis}\n`)
      assert.equal(found.length, said.length, found.join('\n'))
      for (const pattern of said)
        assert.ok(
          found.some((fault) => pattern.test(fault)),
          `${found} ${pattern}`,
        )
    })

  test('a cluster without a hash tag in the prefix, and one with another database', async () => {
    assert.match(
      (await faults('store: { redis: { cluster: [n] } }')).join(),
      /^store\.prefix needs a hash tag in a cluster, .*"\{sallyport\}:"/,
    )
    assert.match((await faults('store: { redis: { cluster: [n] }, prefix: "{}{x}:" }')).join(), /^store\.prefix needs a hash tag/)
    assert.match(
      (await faults('store: { redis: { cluster: [n], db: 1 }, prefix: "{s}:" }')).join(),
      /^store\.redis\.db is for a single primary/,
    )
  })
})

test('without a sealing key there is a warning', async () => {
  const warned = async (store: string) =>
    (await loadStore(`store: { redis: "redis://h"${store} }`)).warnings.filter((line) => !/ adapters /.test(line))
  assert.match((await warned('')).join(), /store\.redis stands without a sealing key: .*set store\.keyFile$/)
  assert.deepEqual(await warned(', keyFile: sallyport.key'), [])
})

test('an address is host, host:port or [IPv6]:port', () => {
  for (const wrong of ['', ':1', 'h:', 'h:0', 'h:65536', '::1', '[::1', 'a b', 'h/x'])
    assert.equal(parseRedisAddress(wrong, 1), null, wrong)
  assert.deepEqual(parseRedisAddress(' h:65535 ', 1), { host: 'h', port: 65_535 })
})
