import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { describeChange } from '../../../src/admin/config-change.ts'
import { viewAdapter, viewConfig } from '../../../src/admin/config-view.ts'
import type { Config } from '../../../src/config/config.ts'
import { loadConfig } from '../../../src/config/load.ts'
import { CANARY, findCanaries } from '../../support/canary.ts'

const { config } = await loadConfig({ file: join(import.meta.dirname, '../../../config/sample.yaml'), env: {} })

/** Keys that this version has not, as a later one may. */
const later = (keys: object): Config => ({ ...config, ...keys }) as Config

test('everything secret is shown as ***, wherever it stands', () => {
  const [adapter] = config.adapters
  const view = viewConfig({
    ...later({ vault: { token: CANARY, url: `https://user:${CANARY}@vault.example/`, nested: [{ clientSecret: CANARY }] } }),
    store: {
      ...config.store,
      redis: { url: `redis://:${CANARY}@redis.example`, password: CANARY },
      key: CANARY,
    } as unknown as Config['store'],
    callers: [{ caller: { name: 'a', admin: false, may: [] }, keyHashes: [CANARY], jwt: null, certificates: [] }],
    adapters: [
      {
        ...(adapter as Config['adapters'][number]),
        headers: [['X-Key', CANARY]],
        params: [['key', CANARY]],
        cookies: [['c', CANARY]],
        proxy: { url: `http://u:${CANARY}@proxy.example`, credentials: null, resolve: 'local' },
      },
    ],
    caBundles: new Map([['corporate', CANARY]]),
  })
  assert.deepEqual(findCanaries(JSON.stringify(view)), [])
  assert.deepEqual((view.store as { redis: object }).redis, { url: '***', password: '***' })
  assert.deepEqual((view as { vault: object }).vault, {
    ...{ token: '***', url: 'https://***@vault.example/' },
    nested: [{ clientSecret: '***' }],
  })
})

test('new keys of the store are masked until they are known to be harmless', () => {
  const view = viewConfig({
    ...config,
    store: { ...config.store, sentinels: ['10.0.0.1:26379'], tls: { servername: 'x', on: true } },
  } as Config)
  const { sentinels, tls, prefix } = view.store as Record<string, unknown>
  assert.deepEqual([sentinels, tls, prefix], [['***'], { servername: '***', on: true }, config.store.prefix])
})

test('what is not secret is shown as it is in effect', () => {
  const [adapter] = config.adapters
  assert.ok(adapter)
  const view = viewAdapter({
    ...adapter,
    credentials: 'github-token',
    headers: [
      ['accept', 'a/b'],
      ['x-team', 'red'],
    ],
  })
  assert.deepEqual([view.credentials, view.timeout], ['github-token', adapter.timeout])
  assert.deepEqual(view.headers, [
    ['accept', 'a/b'],
    ['x-team', '***'],
  ])
})

test('a change is told by names: added, changed, removed, in effect or not before a restart', () => {
  const [first, ...others] = config.adapters
  assert.ok(first)
  const next = later({
    adapters: [
      { ...first, sessions: !first.sessions },
      { ...first, name: 'new' },
    ],
    ceilings: { ...config.ceilings, maxRetries: 1 },
    listen: { ...config.listen, port: 1 },
    vault: {},
  })
  assert.deepEqual(describeChange(config, next), {
    adapters: { added: ['new'], changed: [first.name], removed: others.map(({ name }) => name) },
    callers: { added: [], changed: [], removed: [] },
    changed: ['ceilings'],
    needsRestart: ['listen', 'vault'],
  })
  assert.deepEqual(describeChange(config, config).needsRestart, [])
})
