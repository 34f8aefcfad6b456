// The stores as a gateway has them: secrets sealed, put by one process and followed by others, over what really keeps them.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import type { SecretBook } from '../../../src/credentials/book.ts'
import { createKeyRing } from '../../../src/credentials/key-ring.ts'
import { createSealer } from '../../../src/credentials/seal.ts'
import { systemClock as clock } from '../../../src/installation.ts'
import { openStores, type Stores } from '../../../src/stores/open-stores.ts'
import { openRedis } from '../../../src/stores/redis.ts'
import { aMeter } from '../../support/builders.ts'
import { redisTarget, startRedis } from '../../support/redis.ts'
import { administer, openBook } from '../../support/secrets.ts'

const silent = { log: () => {} }
const sealer = createSealer({
  ring: createKeyRing({ keys: [{ id: 'a', key: randomBytes(32) }], active: 'a' }),
  installation: 'sallyport:',
})
const USE = { origin: 'https://api.github.com', caller: 'billing' }
const WITHIN_MS = 1000

const closers: (() => void | Promise<void>)[] = []
after(async () => {
  for (const close of closers.reverse()) await close()
})

function aFolder(): string {
  const dir = mkdtempSync(join(tmpdir(), 'sallyport-open-'))
  closers.push(() => rmSync(dir, { recursive: true }))
  return dir
}

function open(options: { redisUrl?: string; dataDir?: string; canSeal?: boolean }, lines: string[] = []): Stores {
  const { redisUrl, dataDir = '', canSeal = true } = options
  const log = { log: (level: string, event: string) => void lines.push(`${level} ${event}`) }
  const stores = openStores(
    { redis: redisUrl ? redisTarget(redisUrl) : null, prefix: 'sallyport:', dataDir, canSeal },
    { clock, meter: aMeter(), log },
  )
  closers.push(() => stores.close())
  return stores
}

function aReplica(stores: Stores): SecretBook {
  const book = openBook({
    ...{ store: stores.secrets, sealer },
    ...{ clock, log: silent, staleForMs: 60_000 },
  })
  closers.push(() => book.close())
  return book
}

const put = (stores: Stores, token: string): Promise<unknown> =>
  administer({ store: stores.secrets, sealer, clock }).set({
    name: 'github',
    scheme: 'bearer',
    values: { token },
    origins: [USE.origin],
    callers: [USE.caller],
  })

/** The token in memory now; null: there is none to be had. */
function tokenOf(book: SecretBook): string | null {
  try {
    const found = book.find('github', USE)
    return found instanceof Promise ? null : (found.values.token ?? null)
  } catch {
    return null
  }
}

async function until(condition: () => boolean, withinMs: number): Promise<void> {
  const end = performance.now() + withinMs
  while (!condition()) {
    assert.ok(performance.now() < end, `not within ${withinMs} ms`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

describe('secrets in Redis', () => {
  test('every replica uses a changed secret within a second, and stops using a deleted one', async () => {
    const server = await startRedis()
    closers.push(() => server.stop())
    const [operator, one, two] = [open({ redisUrl: server.url }), open({ redisUrl: server.url }), open({ redisUrl: server.url })]
    await until(() => [operator, one, two].every((stores) => stores.healthy()), 5000)
    const replicas = [aReplica(one), aReplica(two)]
    for (const token of ['first', 'second']) {
      await put(operator, token)
      await until(() => replicas.every((book) => tokenOf(book) === token), WITHIN_MS)
    }
    await operator.secrets.delete('github')
    await until(() => replicas.every((book) => tokenOf(book) === null), WITHIN_MS)
  })

  test('they stand under sallyport:secret:NAME, sealed; one deleted there by hand is gone within a second', async () => {
    const server = await startRedis()
    closers.push(() => server.stop())
    const stores = open({ redisUrl: server.url })
    const bare = openRedis({ target: server.target, prefix: '' }, { clock, meter: aMeter(), log: silent })
    closers.push(() => bare.close())
    await until(() => stores.healthy() && bare.healthy(), 5000)
    const book = aReplica(stores)
    await put(stores, 'canary-token')
    await until(() => tokenOf(book) === 'canary-token', WITHIN_MS)
    const script = (name: string) => ({ lua: `return redis.call('${name}', KEYS[1])`, keys: 1 })
    const record = await bare.run(script('GET'), 'sallyport:secret:github')
    assert.match(String(record), /"name":"github"/)
    assert.doesNotMatch(String(record), /canary/)
    await bare.run(script('DEL'), 'sallyport:secret:github')
    await until(() => tokenOf(book) === null, WITHIN_MS)
  })

  test('frozen and killed: the last known value serves at once; a change is seen after the return', async () => {
    const server = await startRedis()
    closers.push(() => server.stop())
    const stores = open({ redisUrl: server.url })
    await until(() => stores.healthy(), 5000)
    const book = aReplica(stores)
    await put(stores, 'first')
    await until(() => tokenOf(book) === 'first', WITHIN_MS)
    server.pause()
    await until(() => !book.fresh, 3000)
    assert.equal(tokenOf(book), 'first')
    server.resume()
    await until(() => book.fresh, 5000)
    await server.kill()
    await until(() => !book.fresh, 3000)
    assert.equal(tokenOf(book), 'first')
    await server.restart()
    await until(() => book.fresh, 5000)
    assert.equal(tokenOf(book), null, 'the restarted server is empty')
  })
})

describe('secrets in the embedded store', () => {
  test('what the command line sets beside a running gateway is used within a second', async () => {
    const dataDir = aFolder()
    const [operator, gateway] = [open({ dataDir }), open({ dataDir })]
    const book = aReplica(gateway)
    await put(operator, 'first')
    await until(() => tokenOf(book) === 'first', WITHIN_MS)
    assert.equal(gateway.kind, 'embedded')
  })

  test('no value is on the disk in clear; without a key nothing of a secret is, and it says so', async () => {
    for (const canSeal of [true, false]) {
      const dataDir = aFolder()
      const lines: string[] = []
      const stores = open({ dataDir, canSeal }, lines)
      await put(stores, 'canary-token')
      const onDisk = readdirSync(dataDir)
        .map((file) => readFileSync(join(dataDir, file), 'latin1'))
        .join()
      assert.doesNotMatch(onDisk, /canary/)
      assert.equal(onDisk.includes('github'), canSeal)
      assert.equal(
        lines.some((line) => /no sealing key/.test(line)),
        !canSeal,
      )
    }
  })
})
