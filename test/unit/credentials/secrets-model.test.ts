// What operators do to secrets, in any order and by several at once, while the clock moves: the records, and a replica that
// follows them, are held against a model that keeps no records at all. Over each store.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import fc from 'fast-check'
import { createKeyRing } from '../../../src/credentials/key-ring.ts'
import { createSealer } from '../../../src/credentials/seal.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import type { Clock, SecretStore } from '../../../src/model/ports.ts'
import { openEmbedded } from '../../../src/stores/embedded.ts'
import { createEmbeddedSecrets } from '../../../src/stores/embedded-secrets.ts'
import { createMemorySecrets } from '../../../src/stores/memory-secrets.ts'
import { openRedis, type RedisConnection } from '../../../src/stores/redis.ts'
import { createRedisSecrets } from '../../../src/stores/redis-secrets.ts'
import { aMeter } from '../../support/builders.ts'
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts'
import { startRedis, type TestRedis } from '../../support/redis.ts'
import { singleTarget } from '../../support/redis-topologies.ts'
import { administer, openBook } from '../../support/secrets.ts'

const USE = { origin: 'https://api.example.com', caller: 'billing' }
const KEYS = ['a', 'b', 'c'].map((id) => ({ id, key: randomBytes(32) }))
const NAMES = ['one', 'two']
const POLICY = { scheme: 'bearer' as const, origins: [USE.origin], callers: [USE.caller] }

type Step =
  | ({ readonly do: 'make'; readonly how: 'set' | 'rotate'; readonly name: string } & Terms)
  | { readonly do: 'revoke'; readonly name: string; readonly back: number | null }
  | { readonly do: 'remove'; readonly name: string }
  | { readonly do: 'rekey'; readonly key: number }
  | { readonly do: 'pass'; readonly ms: number }

/** From now, ms. */
interface Terms {
  readonly begins: number
  /** From when it begins; null: for ever. */
  readonly lives: number | null
  readonly overlap: number
}

// What versions do to each other shows where there are several of one name.
const name = fc.constantFrom('one', 'one', 'one', 'two')
const span = fc.constantFrom(0, 1000, 2000, 5000, 10_000)
const makes = fc.record({
  ...{ do: fc.constant('make' as const), how: fc.constantFrom('set' as const, 'rotate' as const), name },
  ...{ begins: span, lives: fc.option(fc.constantFrom(3000, 8000)), overlap: span },
})
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    { weight: 4, arbitrary: makes },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(1000, 2000, 4000, 9000) }) },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant('revoke' as const), name, back: fc.option(fc.constantFrom(0, 0, 1, 2)) }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('remove' as const), name }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('rekey' as const), key: fc.nat(KEYS.length - 1) }) },
  ),
  { minLength: 8, maxLength: 20 },
)

/** One version, as whoever made it would describe it. Instants are ms since 1970. */
interface Made {
  readonly token: string
  readonly from: number
  /** When it ends by itself. */
  readonly life: number
  /** When it ends on account of its successor. */
  until: number
  revoked: boolean
}

/** The versions of each name in the order in which they were made; those that are no good any more may be missing. */
function createModel() {
  const names = new Map<string, Made[]>()
  const good = (of: string, at: number): Made[] =>
    (names.get(of) ?? []).filter(({ from, life, until, revoked }) => !revoked && from <= at && at < Math.min(life, until))
  return {
    names,
    good,
    token: (of: string, at: number): string | null => good(of, at).at(-1)?.token ?? null,
    /** Two stay good beside the new one; what was to come is dropped, and no longer ends the present one. */
    add(of: string, made: Made, at: number, overlap: number): void {
      const kept = good(of, at).slice(-2)
      const current = kept.at(-1)
      for (const each of kept)
        each.until = Math.min(each === current ? Number.POSITIVE_INFINITY : each.until, made.from + overlap)
      names.set(of, [...kept, made])
    },
    /** `token` null: all. One that had yet to begin no longer ends the present one. */
    revoke(of: string, token: string | null, at: number): void {
      const revoked = (names.get(of) ?? []).filter((each) => token === null || each.token === token)
      const wasNext = token !== null && revoked.some(({ from, revoked }) => !revoked && from > at)
      for (const each of revoked) each.revoked = true
      const current = good(of, at).at(-1)
      if (wasNext && current) current.until = Number.POSITIVE_INFINITY
    },
  }
}

/** Runs the steps and holds what calls get against the model after each. */
async function follow(given: readonly Step[], store: SecretStore, prefix: string): Promise<void> {
  const clock = createFakeClock()
  const ring = createKeyRing({ keys: KEYS, active: 'a' })
  const sealer = createSealer({ ring, installation: 'model' })
  const admin = administer({ store, sealer, clock })
  const book = openBook({ store, sealer, clock })
  const model = createModel()

  const found = (of: string): string | null => {
    try {
      const secret = book.find(prefix + of, USE)
      return secret instanceof Promise ? 'not in memory' : (secret.values.token ?? '')
    } catch (error) {
      if (error instanceof GatewayError) return null
      throw error
    }
  }
  const make = async ({ how, name: of, begins, lives, overlap }: Extract<Step, { do: 'make' }>): Promise<void> => {
    // Each version has an instant of its own, and is called after it.
    await clock.advance(1)
    const at = clock.date()
    const from = at + begins
    const life = lives === null ? Number.POSITIVE_INFINITY : from + lives
    const values = { token: `t-${at}` }
    const terms = { notBefore: from, expiresAt: lives === null ? null : life, overlapMs: overlap }
    if (how === 'set') await admin.set({ name: prefix + of, ...POLICY, values }, terms)
    else if (model.names.has(of)) await admin.rotate(prefix + of, { values, ...terms })
    else return assert.rejects(admin.rotate(prefix + of, { values, ...terms }), { type: 'UnknownCredential' })
    model.add(of, { token: values.token, from, life, until: Number.POSITIVE_INFINITY, revoked: false }, at, overlap)
  }
  const revoke = async ({ name: of, back }: Extract<Step, { do: 'revoke' }>): Promise<void> => {
    const listed = (await admin.list()).find((secret) => secret.name === prefix + of)
    const versions = listed && !('fault' in listed) ? listed.versions : []
    const chosen = back === null ? null : versions.at(-1 - back)
    if (chosen === undefined) return
    await admin.revoke(prefix + of, chosen?.version ?? null).catch(isUnknown)
    model.revoke(of, chosen && `t-${chosen.createdAt}`, clock.date())
  }
  const perform = async (step: Step): Promise<void> => {
    switch (step.do) {
      case 'pass':
        return clock.advance(step.ms)
      case 'rekey':
        ring.replace({ keys: KEYS, active: KEYS[step.key]?.id ?? '' })
        return assert.deepEqual((await admin.rekey()).failed, [])
      case 'make':
        return make(step)
      case 'revoke':
        return revoke(step)
      case 'remove':
        await admin.remove(prefix + step.name).catch(isUnknown)
        return void model.names.delete(step.name)
      default:
        return step satisfies never
    }
  }

  try {
    for (const step of given) {
      await perform(step)
      await book.refresh()
      for (const of of NAMES) assert.equal(found(of), model.token(of, clock.date()), JSON.stringify(step))
    }
  } finally {
    book.close()
    for (const of of NAMES) await store.delete(prefix + of)
  }
}

function isUnknown(error: unknown): void {
  if (!(error instanceof GatewayError && error.type === 'UnknownCredential')) throw error
}

const dir = mkdtempSync(join(tmpdir(), 'sallyport-model-'))
const real: Clock = {
  now: () => performance.now(),
  date: () => Date.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
}
const quiet = { meter: aMeter(), log: { log: () => {} } }
let server: TestRedis
let redis: RedisConnection
const embedded = openEmbedded(dir, quiet)

before(async () => {
  server = await startRedis()
  redis = openRedis({ target: singleTarget(server), prefix: 'model:' }, { clock: real, ...quiet })
  await new Promise<void>((resolve) => redis.onRecovery(resolve))
})
after(async () => {
  redis.close()
  embedded.close()
  rmSync(dir, { recursive: true })
  await server.stop()
})

describe('calls get what the model says, whatever operators do', () => {
  const STORES: [kind: string, runs: number, open: () => SecretStore][] = [
    ['memory', 300, () => createMemorySecrets()],
    ['embedded', 25, () => createEmbeddedSecrets(embedded)],
    ['redis', 25, () => createRedisSecrets(redis)],
  ]
  for (const [kind, numRuns, open] of STORES)
    test(kind, async () => {
      const store = open()
      let run = 0
      await fc.assert(
        fc.asyncProperty(steps, (given) => follow(given, store, `r${run++}-`)),
        { numRuns },
      )
    })

  test('operators at once: every version is made once, none is lost, and every record opens', async () => {
    for (const open of [() => createMemorySecrets(), () => createRedisSecrets(redis)]) {
      const clock: FakeClock = createFakeClock()
      const ring = createKeyRing({ keys: KEYS, active: 'a' })
      const sealer = createSealer({ ring, installation: 'model' })
      const store = open()
      const admins = Array.from({ length: 4 }, () => administer({ store, sealer, clock }))
      await admins[0]?.set({ name: 'busy', ...POLICY, values: { token: 'first' } })
      ring.replace({ keys: KEYS, active: 'b' })
      const made = await Promise.all([
        ...admins.map((admin, i) => admin.rotate('busy', { values: { token: `t${i}` } })),
        ...admins.map(async (admin) => void (await admin.rekey())),
      ])
      const versions = made.filter((each) => each !== undefined).map(({ version }) => version)
      assert.deepEqual(versions.sort(), [2, 3, 4, 5])
      const { record } = await store.get('busy')
      assert.equal(sealer.open('busy', record ?? '').versions.at(-1)?.version, 5)
    }
  })
})
