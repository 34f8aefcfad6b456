// One round after the store: its records opened, held against what was seen before and against the high-water marks. A version
// that did not change keeps its object, and with it whatever was remembered for it.
import { GatewayError } from '../errors/gateway-error.ts'
import type { Clock, Logger, Secret, SecretStore } from '../model/ports.ts'
import { type Choice, chooseVersion } from './choose-version.ts'
import type { HighWater } from './high-water.ts'
import { MissingKeyError, SealError } from './key-ring.ts'
import type { LastingTexts } from './lasting-texts.ts'
import { openKnown } from './open-known.ts'
import { keyIdOf } from './record.ts'
import type { OpenedRecord, OpenedVersion, Sealer } from './seal.ts'
import type { KeyFollower, KeysInUse } from './sources/key-file.ts'

/** The versions under a name, which of them serves, and what the upstreams had to say about that. */
export interface Held {
  readonly versions: readonly OpenedVersion[]
  choice: Choice<OpenedVersion>
  /** By origin: taken there where the current one was refused. */
  preferred: Map<string, Secret> | null
}

/** What stands under a name: the secret, or why its record cannot be used. */
export type Entry = Held | { readonly fault: string }

export interface FollowerPorts {
  readonly store: SecretStore
  readonly sealer: Sealer
  readonly keys: KeyFollower
  readonly marks: HighWater
  /** What else is under the sealing keys. */
  readonly texts: Pick<LastingTexts, 'of' | 'keysInUse'>
  readonly clock: Pick<Clock, 'date'>
  readonly log: Logger
}

export function createFollower({ store, sealer, keys, marks, texts, clock, log }: FollowerPorts) {
  const entries = new Map<string, Entry>()
  const records = new Map<string, string>()
  const seen = new Map<string, number>()
  let digest: string | null = null
  const keyIds = new Map<string, string>()
  let loaded = false
  let keysTried = false
  let marksTold = ''

  const known = { of: (name: string) => Math.max(seen.get(name) ?? 0, marks.of(name)) }
  const openNow = (name: string, text: string): OpenedRecord => {
    try {
      return openKnown(sealer, known, name, text)
    } catch (error) {
      if (!(error instanceof MissingKeyError) || keysTried) throw error
      // The key may have come with the record: then it is in the file already.
      keysTried = true
      if (!keys.followNow()) throw error
      return openKnown(sealer, known, name, text)
    }
  }
  const open = (name: string, text: string): Entry => {
    try {
      const { revision, versions } = openNow(name, text)
      seen.set(name, revision)
      return hold(versions, entries.get(name), clock.date())
    } catch (error) {
      if (!(error instanceof SealError)) throw error
      return { fault: error.message }
    }
  }
  const inUse = async (): Promise<KeysInUse> => {
    if (!loaded) return null
    const held = [...entries].flatMap(([name, entry]) =>
      'fault' in entry ? [] : entry.versions.map((version) => ({ ...version, name })),
    )
    try {
      return namesByKey(keyIds, await texts.keysInUse(texts.of(held)))
    } catch (error) {
      if (error instanceof GatewayError) return null
      throw error
    }
  }
  /** Marks that cannot be read are as they were. */
  const followMarks = async (): Promise<boolean> => {
    try {
      const changed = await marks.follow()
      marksTold = ''
      return changed
    } catch (error) {
      const because = error instanceof Error ? error.message : 'unexpected fault'
      if (marksTold !== because) log.log('error', 'secret high-water marks not read', { because })
      marksTold = because
      return false
    }
  }
  const take = (name: string, text: string, anew: boolean): void => {
    if (records.get(name) === text && !anew) return
    const before = entries.get(name)
    const entry = open(name, text)
    if ('fault' in entry && !(before && 'fault' in before && before.fault === entry.fault))
      log.log('error', 'secret refused', { credential: name, because: entry.fault })
    entries.set(name, entry)
    records.set(name, text)
    keyIds.set(name, keyIdOf(name, text) ?? '')
  }
  const drop = (name: string): void => {
    for (const map of [entries, records, keyIds]) map.delete(name)
  }

  return {
    entries: entries as ReadonlyMap<string, Entry>,
    async follow(): Promise<void> {
      const marked = await followMarks()
      const anew = (await keys.follow(inUse)) || marked
      const snapshot = await store.load(anew ? null : digest)
      if (!snapshot) return
      for (const name of entries.keys()) if (!snapshot.records.has(name)) drop(name)
      keysTried = false
      for (const [name, text] of snapshot.records) take(name, text, anew)
      digest = snapshot.digest
      loaded = true
    },
  }
}

function hold(versions: readonly OpenedVersion[], before: Entry | undefined, now: number): Held {
  const old = before && !('fault' in before) ? before.versions : []
  const kept = versions.map((version) => {
    const same = old.find((each) => each.version === version.version)?.secret
    return same && isSame(same, version.secret) ? { ...version, secret: same } : version
  })
  return { versions: kept, choice: chooseVersion(kept, now), preferred: null }
}

const isSame = (one: Secret, other: Secret | null): boolean => JSON.stringify(one) === JSON.stringify(other)

function namesByKey(keyIds: ReadonlyMap<string, string>, others: ReadonlyMap<string, readonly string[]>): KeysInUse {
  const names = new Map([...others].map(([id, purposes]): [string, string[]] => [id, [...purposes]]))
  for (const [name, id] of keyIds) {
    const under = names.get(id)
    if (under) under.push(name)
    else names.set(id, [name])
  }
  return names
}
