// What operators force breakers to, kept in the store as one document that every replica follows and that outlives a restart. It
// holds here at once, whatever the store does; while that is away, what was set waits and is written when it is back.
import { SealError } from '../credentials/key-ring.ts'
import type { TextSealer } from '../credentials/seal-text.ts'
import { GatewayError } from '../errors/gateway-error.ts'
import type { Override, OverrideEntry, OverrideScope } from '../model/breaker-override.ts'
import type { Clock, KeyValueStore, Logger } from '../model/ports.ts'
import { createRounds } from '../model/rounds.ts'
import { type Overrides, withOverride } from '../policy/overrides.ts'

export interface SharedOverrides extends Pick<Overrides, 'over' | 'all'> {
  /** null lifts it. True: it is in the store; false: the store is away, and it holds in this replica alone until that is back. */
  set(scope: OverrideScope, override: Override | null): Promise<boolean>
  /** Asks the store now. Resolves when that is done, whether or not it answered. */
  refresh(): Promise<void>
  close(): void
}

export interface SharedOverridesPorts {
  readonly overrides: Overrides
  readonly store: KeyValueStore
  /** null: no sealing key is configured, and the document stands in clear. */
  readonly sealer: TextSealer | null
  readonly clock: Clock
  readonly log: Logger
  /** Called after what stands may have changed. */
  readonly onChange: () => void
}

/** Where the document stands, and what it is sealed for. */
export const BREAKER_OVERRIDES = { key: 'breaker-overrides', purpose: 'breaker overrides' } as const
const { key: KEY, purpose: PURPOSE } = BREAKER_OVERRIDES
/** Half of the second within which other replicas follow. */
const ROUND_MS = 500
/** Two operators at once are rare; more than this many turns in a row are a fault. */
const MAX_TRIES = 5

interface Pending {
  readonly scope: OverrideScope
  readonly override: Override | null
}

export function createSharedOverrides({ overrides, store, sealer, clock, log, onChange }: SharedOverridesPorts): SharedOverrides {
  /** As the store last had it. */
  let shared: readonly OverrideEntry[] = []
  let known: number | null = null
  let pending: readonly Pending[] = []
  let lost = false
  let turn = Promise.resolve()

  const show = (): void => {
    overrides.replace(withAll(shared, pending))
    onChange()
  }
  const read = (text: string): OverrideEntry[] => parseEntries(sealer === null ? text : sealer.open(PURPOSE, text))

  const pull = async (): Promise<void> => {
    if ((await store.version(KEY)) === known) return
    const found = await store.get(KEY)
    known = found?.version ?? null
    // Nobody deletes it: the store has lost its memory, and is told again what stands.
    lost = found === null
    if (found === null) return
    try {
      shared = read(found.value)
    } catch (error) {
      if (!(error instanceof SealError)) throw error
      log.log('error', 'breaker overrides refused', { because: error.message })
    }
    show()
  }

  const push = async (): Promise<void> => {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      await pull()
      const writing = pending
      const next = withAll(shared, writing).filter(({ until }) => until === null || until > clock.date())
      const text = JSON.stringify(next)
      const sealed = sealer === null ? text : sealer.seal(PURPOSE, text)
      if (!(await store.put(KEY, sealed, { ttlMs: null, ifVersion: known }))) continue
      shared = next
      pending = pending.filter((one) => !writing.includes(one))
      lost = false
      return
    }
  }

  /** A store that is away says so itself; what is set here holds on. */
  const goOn = (error: unknown): void => {
    if (!(error instanceof GatewayError))
      log.log('error', 'breaker overrides cannot be followed', { name: (error as Error).name })
  }
  const inTurn = (work: () => Promise<void>): Promise<void> => {
    turn = turn.then(work).catch(goOn)
    return turn
  }
  const rounds = createRounds(clock, ROUND_MS, () => inTurn(() => (pending.length > 0 || lost ? push() : pull())))

  return {
    over: overrides.over,
    all: overrides.all,
    refresh: rounds.refresh,
    async set(scope, override) {
      const mine = { scope, override }
      pending = [...pending, mine]
      show()
      await inTurn(push)
      return !pending.includes(mine)
    },
    close: rounds.close,
  }
}

function withAll(entries: readonly OverrideEntry[], pending: readonly Pending[]): readonly OverrideEntry[] {
  return pending.reduce((all, { scope, override }) => withOverride(all, scope, override), entries)
}

/** Throws SealError where the text is no such document. */
function parseEntries(text: string): OverrideEntry[] {
  try {
    const entries: unknown = JSON.parse(text)
    if (Array.isArray(entries) && entries.every(isEntry)) return entries
  } catch {
    // As any other text that is none.
  }
  throw new SealError(`${PURPOSE}: what is stored is no list of them`)
}

function isEntry(value: unknown): value is OverrideEntry {
  const { adapter, origin, state, by, reason, since, until } = (value ?? {}) as Readonly<Record<string, unknown>>
  const texts = [adapter, by, reason].every((text) => typeof text === 'string')
  const known = (origin === null || typeof origin === 'string') && (state === 'open' || state === 'closed')
  return texts && known && typeof since === 'number' && (until === null || typeof until === 'number')
}
