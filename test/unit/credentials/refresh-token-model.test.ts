// One grant, several replicas, and everything that can go wrong between any two steps: answers lost, writes that are refused and
// applied later, crashes, turned clocks. Held against a server that remembers every refresh token it ever took.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { oauth2RefreshToken } from '../../../src/credentials/schemes/oauth2-refresh-token.ts'
import { createEphemeralTextSealer } from '../../../src/credentials/seal-text.ts'
import { createSharedStates } from '../../../src/credentials/shared-state.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import type { OpenCredential, TokenAnswer, TokenRequest } from '../../../src/model/credential-scheme.ts'
import type { Clock, KeyValueStore } from '../../../src/model/ports.ts'
import { aPlan, aRequest, aResponse } from '../../support/builders.ts'
import { anErrand, tokenPorts } from '../../support/token-ports.ts'

const VALUES = { tokenUrl: 'https://auth.example.com/token', clientId: 'c', refreshToken: 'r0' }
const KEY = 'token:it@1'
const LIFE_S = 100

/** How a step that waits is carried out; the numbers are drawn. */
type Way = number

interface Step {
  readonly replica: Replica
  run(way: Way): void
}

interface Replica {
  readonly credential: OpenCredential
  readonly errand: ReturnType<typeof anErrand>
  alive: boolean
  /** Its wall clock is that much off, ms. */
  turnedBy: number
}

interface Stored {
  readonly refreshToken: string
  readonly spentBy: string | null
  readonly access: { readonly value: string } | null
}

const FATES = [...Array(12).fill('is answered'), 'never arrives', 'arrives later', 'is answered in vain'] as const

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

function createWorld() {
  let time = 1_000_000
  const timers = new Map<number, { readonly at: number; readonly replica: Replica; readonly callback: () => void }>()
  let ids = 0
  const steps: Step[] = []
  const sealer = createEphemeralTextSealer()
  const entries = new Map<string, { value: string; version: number; endsAt: number }>()
  let versions = 0

  const server = createServer()
  /** Whose attempt a mark is. */
  const owner = new Map<string, Replica>()
  /** Attempts whose outcome nobody can know. */
  const doubtful = new Set<Replica>()
  /** Access tokens that were kept at some time. */
  const everKept = new Set<string>()

  const stored = (): Stored | null => {
    const entry = entries.get(KEY)
    return entry ? (JSON.parse(sealer.open('token it@1', entry.value)) as Stored) : null
  }
  const live = (key: string) => {
    const entry = entries.get(key)
    if (entry && entry.endsAt <= time) entries.delete(key)
    return entries.get(key) ?? null
  }

  /** Each operation waits for its step; a replica that is dead hears of nothing. */
  function later<T>(replica: Replica, apply: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      const away = (): void => reject(new GatewayError('Overloaded', 'the store is away'))
      const run = (way: Way): void => {
        const fate = FATES[way % FATES.length]
        if (fate === 'arrives later') steps.push({ replica, run: () => void apply() })
        if (fate === 'arrives later' || fate === 'never arrives') away()
        else {
          const result = apply()
          if (fate === 'is answered in vain') away()
          else if (replica.alive) resolve(result)
        }
      }
      steps.push({ replica, run })
    })
  }
  const storeOf = (replica: Replica): KeyValueStore => ({
    get: (key) =>
      later(replica, () => {
        const entry = live(key)
        return entry && { value: entry.value, version: entry.version }
      }),
    put(key, value, { ttlMs, ifVersion }) {
      if (key === KEY) {
        const { spentBy } = JSON.parse(sealer.open('token it@1', value)) as Stored
        if (spentBy !== null && !owner.has(spentBy)) owner.set(spentBy, replica)
      }
      return later(replica, () => {
        if ((live(key)?.version ?? null) !== ifVersion) return false
        entries.set(key, { value, version: ++versions, endsAt: ttlMs === null ? Number.POSITIVE_INFINITY : time + ttlMs })
        const kept = key === KEY ? stored()?.access : null
        if (kept) everKept.add(kept.value)
        return true
      })
    },
    version: (key) => later(replica, () => live(key)?.version ?? null),
    delete: (key) => later(replica, () => void entries.delete(key)),
  })

  const exchangeOf =
    (replica: Replica) =>
    (request: TokenRequest): Promise<TokenAnswer> =>
      new Promise((resolve) => {
        const sent = new URLSearchParams(request.form.map(([name, value]) => [name, value])).get('refresh_token') ?? ''
        server.arrives(sent)
        const none = (how: 'no' | 'maybe'): TokenAnswer => ({ kind: 'none', because: 'x', privateDetail: '', sent: how })
        steps.push({
          replica,
          run(way) {
            const processed = way % 8 < 5
            const answer = processed ? server.take(sent, { rotate: way % 8 !== 4 }) : null
            const known = replica.alive && way % 8 !== 3 && way % 8 !== 6
            server.left(sent, known)
            if (!known) doubtful.add(replica)
            if (!replica.alive) return
            if (!known) resolve(none('maybe'))
            else if (answer) resolve(answer)
            else resolve(way % 8 === 5 ? none('no') : { kind: 'answer', status: 429, body: Buffer.alloc(0) })
          },
        })
      })

  function join(): Replica {
    const replica = { alive: true, turnedBy: 0 } as { -readonly [K in keyof Replica]: Replica[K] }
    const clock: Clock = {
      now: () => time,
      date: () => time + replica.turnedBy,
      after(ms, callback) {
        const id = ids++
        timers.set(id, { at: time + ms, replica, callback })
        return () => timers.delete(id)
      },
    }
    const shared = createSharedStates({ values: storeOf(replica), sealer, clock }).of
    replica.credential = oauth2RefreshToken.open(VALUES)
    replica.errand = anErrand(tokenPorts({ clock, exchange: exchangeOf(replica), shared }))
    return replica
  }

  return {
    steps,
    server,
    owner,
    doubtful,
    everKept,
    stored,
    join,
    pass(ms: number): void {
      const until = time + ms
      for (;;) {
        const next = [...timers].filter(([, { at }]) => at <= until).sort((a, b) => a[1].at - b[1].at)[0]
        if (!next) break
        timers.delete(next[0])
        time = Math.max(time, next[1].at)
        if (next[1].replica.alive) next[1].callback()
      }
      time = until
    },
  }
}

/** Rotates, and takes no token that it has exchanged before (RFC 9700 §4.14.2). */
function createServer() {
  let current = 'r0'
  let issued = 0
  const used = new Set<string>()
  const onTheWay = new Set<string>()
  const inDoubt = new Set<string>()
  const violations: string[] = []
  return {
    violations,
    get current() {
      return current
    },
    arrives(token: string): void {
      if (onTheWay.has(token)) violations.push(`${token} is sent twice at once`)
      if (inDoubt.has(token)) violations.push(`${token} is sent again, although what came of it is not known`)
      if (used.has(token)) violations.push(`${token} is sent again after it was used up`)
      onTheWay.add(token)
    },
    left(token: string, known: boolean): void {
      onTheWay.delete(token)
      if (!known) inDoubt.add(token)
    },
    take(token: string, { rotate }: { rotate: boolean }): TokenAnswer {
      issued++
      if (rotate) {
        used.add(token)
        current = `r${issued}`
      }
      const fields = { access_token: `a${issued}`, expires_in: LIFE_S, ...(rotate ? { refresh_token: current } : {}) }
      return { kind: 'answer', status: 200, body: Buffer.from(JSON.stringify(fields)) }
    },
  }
}

type World = ReturnType<typeof createWorld>

/** A call that needs the credential; `refused`: and that its upstream answers with a 401. */
function call({ everKept }: World, replica: Replica, refused: boolean): Promise<'went' | 'refused'> {
  const { credential, errand } = replica
  const send = (): 'went' => {
    const request = aRequest({ plan: aPlan({ repeatable: true }) })
    const value = credential.inject(request).headers[0]?.value.slice('Bearer '.length) ?? ''
    assert.ok(everKept.has(value), `${value} is used before it was kept`)
    if (refused) credential.dialogue?.heard(request, aResponse({ status: 401 }), 0)
    return 'went'
  }
  const obtained = credential.obtain?.(errand, aRequest()) ?? null
  if (obtained === null) return Promise.resolve(send())
  return obtained.then(send, (error: unknown) => {
    if (error instanceof GatewayError && error.type === 'CredentialUnavailable') return 'refused' as const
    throw error
  })
}

const deed = fc.record({ kind: fc.nat(99), which: fc.nat(7), way: fc.nat(999) })

async function live(deeds: readonly { kind: number; which: number; way: number }[], count: number): Promise<World> {
  const world = createWorld()
  const replicas = Array.from({ length: count }, () => world.join())
  const failures: unknown[] = []
  const ask = (replica: Replica, refused: boolean): void => void call(world, replica, refused).catch((e) => failures.push(e))
  for (const { kind, which, way } of deeds) {
    const at = which % replicas.length
    const replica = replicas[at]
    if (replica === undefined) continue
    if (kind < 60) world.steps.splice(which % Math.max(1, world.steps.length), 1)[0]?.run(way)
    else if (kind < 75) ask(replica, way % 3 === 0)
    else if (kind < 90) world.pass([100, 600, 1500, 5500, 60_000, 120_000][way % 6] ?? 0)
    else if (kind < 94) replica.turnedBy = ((way % 21) - 10) * 3_600_000
    else if (kind < 96) {
      replica.alive = false
      replicas[at] = world.join()
    }
    await turn()
  }
  await calm(world, replicas)
  assert.deepEqual([failures, world.server.violations], [[], []])
  return world
}

/** Nothing fails any more: what can still be brought home is. */
async function calm(world: World, replicas: readonly Replica[]): Promise<void> {
  const drain = async (): Promise<void> => {
    for (let i = 0; i < 60; i++) {
      while (world.steps.length > 0) {
        world.steps.shift()?.run(0)
        await turn()
      }
      world.pass(500)
      await turn()
    }
  }
  for (const replica of replicas) replica.turnedBy = 0
  await drain()
  for (let round = 0; round < 2; round++)
    for (const replica of replicas) {
      world.pass(2 * LIFE_S * 1000)
      const outcome = call(world, replica, false)
      await drain()
      const { spentBy } = world.stored() ?? { spentBy: null }
      assert.equal(await outcome, spentBy === null ? 'went' : 'refused', world.server.violations.join())
    }
}

test('no refresh token is ever sent twice, and none that the store has acknowledged is ever lost', () =>
  fc.assert(
    fc.asyncProperty(
      fc.array(deed, { minLength: 30, maxLength: 160, size: 'max' }),
      fc.integer({ min: 1, max: 4 }),
      async (deeds, count) => {
        const { server, owner, doubtful, stored } = await live(deeds, count)
        const grant = stored()
        if (grant === null || grant.spentBy === null) {
          assert.equal(grant?.refreshToken ?? 'r0', server.current)
          return
        }
        const by = owner.get(grant.spentBy)
        assert.ok(by && (!by.alive || doubtful.has(by)), 'a mark stays although what came of it was known')
      },
    ),
    { numRuns: 150, endOnFailure: true },
  ))

test('where nothing is lost, every replica has its token at every time', async () => {
  const calls = Array.from({ length: 40 }, (_, i) => [
    { kind: 70, which: i % 3, way: i },
    { kind: 80, which: 0, way: i },
    ...Array.from({ length: 12 }, (_, j) => ({ kind: 0, which: j % 5, way: 0 })),
  ]).flat()
  const { server, stored } = await live(calls, 3)
  assert.equal(stored()?.refreshToken, server.current)
  assert.ok(Number(server.current.slice(1)) > 3)
})
