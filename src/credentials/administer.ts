// Every deed that changes or lists stored secrets, for the command line and the admin entrance alike. Values go in and never
// come out: no answer here holds one.
import { GatewayError } from '../errors/gateway-error.ts'
import type { Clock, SecretStore } from '../model/ports.ts'
import { chooseVersion, stateOf, type VersionState } from './choose-version.ts'
import type { HighWater } from './high-water.ts'
import { SealError } from './key-ring.ts'
import type { Credential, LastingText, LastingTexts } from './lasting-texts.ts'
import { type MadeVersions, type Terms, withoutVersion, withVersion } from './make-version.ts'
import { openKnown } from './open-known.ts'
import { checkSecret, type NewSecret } from './provision.ts'
import { type ClearVersion, keyIdOf, versionsIn } from './record.ts'
import type { OpenedRecord, OpenedVersion, Sealer } from './seal.ts'

/** What a rotation changes; an absent key is as in the version before. */
export interface Rotation extends Partial<Omit<NewSecret, 'name' | 'values'>>, Terms {
  readonly values: NewSecret['values']
}

export interface SecretChange {
  readonly name: string
  /** The version that was made; null: none was. */
  readonly version: number | null
  /** The change is done, and yet something was not as it should be; for whoever asked for it. */
  readonly warnings: readonly string[]
}

/** Its policy and its times: ms since 1970, null where unknown or none. `pool` null: one set of values. */
export interface ListedVersion extends ClearVersion {
  readonly state: VersionState
}

export type ListedSecret =
  | { readonly name: string; readonly keyId: string; readonly versions: readonly ListedVersion[] }
  /** Its record cannot be used; why, without any value. */
  | { readonly name: string; readonly fault: string }

export interface RekeyReport {
  /** Id of the active key. */
  readonly keyId: string
  /** Names of secrets, and purposes of texts that are under the same keys. */
  readonly resealed: readonly string[]
  /** Already under the active key. */
  readonly unchanged: number
  readonly failed: readonly { readonly name: string; readonly because: string }[]
}

/**
 * Each deed is one compare-and-set of one record, tried again where somebody else was first. They reject with InvalidDescriptor
 * (what was given is wrong), UnknownCredential (no such secret or version) or Overloaded (the store is away).
 */
export interface SecretAdministration {
  /** Stores `secret` as the next version of its name. The version before ends at once, unless `overlapMs` says otherwise. */
  set(secret: NewSecret, terms?: Terms): Promise<SecretChange>
  /** New values for a secret that exists; scheme, origins, callers and pool stay unless given. Overlap: 1 h by default. */
  rotate(name: string, rotation: Rotation): Promise<SecretChange>
  /** Wipes the values of one version, or of all (null), and keeps what is known of them. */
  revoke(name: string, version: number | null): Promise<SecretChange>
  /** Removes the record; a secret stored under that name later is never taken for a roll-back. */
  remove(name: string): Promise<SecretChange>
  /** Seals every record anew that is not under the active key. May be interrupted and run again, beside anything else. */
  rekey(onProgress?: (done: number, of: number) => void): Promise<RekeyReport>
  /** By name. */
  list(): Promise<readonly ListedSecret[]>
}

export interface AdministrationPorts {
  readonly store: SecretStore
  readonly sealer: Sealer
  readonly clock: Pick<Clock, 'date'>
  readonly marks: HighWater
  /** What else is under the sealing keys. */
  readonly texts: LastingTexts
  /** Runs after each change, before the deed resolves. */
  readonly changed?: () => Promise<void>
}

const ROTATION_OVERLAP_MS = 3_600_000
/** Two writers at once are rare; more than this many in a row are a fault. */
const MAX_TRIES = 20

/** What is made of a record; null: it stays as it is. */
type Deed = (found: OpenedRecord, now: number) => MadeVersions | null

export function createSecretAdministration(ports: AdministrationPorts): SecretAdministration {
  const { store, sealer, clock, marks, texts, changed = async () => {} } = ports

  const finish = async (name: string, revision: number, version: number | null, warnings: readonly string[] = []) => {
    const unmarked = await marks.raise(name, revision).then(
      () => [],
      (error: unknown) => [`${messageOf(error)}, so that an older record of "${name}" could be put back unseen`],
    )
    await changed()
    return { name, version, warnings: [...warnings, ...unmarked] }
  }
  /** `open` makes a record of what is stored; `deed` the next one of that. */
  const change = async (name: string, open: (found: Found) => OpenedRecord, deed: Deed): Promise<SecretChange> => {
    await marks.follow()
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      const found = await store.get(name)
      const made = deed(open(found), clock.date())
      if (made === null) return { name, version: null, warnings: [] }
      const revision = Math.max(found.revision, marks.of(name)) + 1
      const record = sealer.seal({ name, revision, versions: made.versions })
      if (await store.put(name, record, { after: found.revision, revision }))
        return finish(name, revision, made.version, made.warnings)
    }
    throw new GatewayError('Overloaded', `secret "${name}" is being changed by somebody else at the same time; try again`)
  }
  const openExisting = (name: string) => (found: Found) => openFound(name, found, sealer, marks)

  return {
    async set(secret, terms = {}) {
      const checked = checkSecret(secret)
      const { name } = checked
      const warnings: string[] = []
      const open = (found: Found): OpenedRecord => {
        const known = openForSet(name, found, sealer, marks)
        if (known.fault !== null) warnings.splice(0, 1, `${known.fault}; it was replaced`)
        return known.record
      }
      const done = await change(name, open, (found, now) => withVersion(found, checked, { overlapMs: 0, ...terms }, now))
      return { ...done, warnings: [...warnings, ...done.warnings] }
    },
    rotate: (name, rotation) =>
      change(name, openExisting(name), (found, now) => {
        const { scheme, origins, callers } = lastOf(found)
        const checked = checkSecret({ name, scheme, origins, callers, ...rotation })
        return withVersion(found, checked, { overlapMs: ROTATION_OVERLAP_MS, ...rotation }, now)
      }),
    async revoke(name, version) {
      let revoked: Credential[] = []
      const done = await change(name, openExisting(name), (found, now) => {
        revoked = credentialsOf(found).filter((each) => version === null || each.version === version)
        return withoutVersion(found, version, now)
      })
      // What was obtained with it goes as well.
      await texts.forget(revoked)
      return done
    },
    async remove(name) {
      await marks.follow()
      const found = await store.get(name)
      const revision = await store.delete(name)
      if (revision === null) throw notStored(name)
      await texts.forget(credentialsOf(openForSet(name, found, sealer, marks).record))
      return finish(name, revision, null)
    },
    rekey: (onProgress = () => {}) => rekey(ports, reseal, onProgress),
    async list() {
      await marks.follow()
      const now = clock.date()
      const records = (await store.load(null))?.records ?? new Map<string, string>()
      const listed = [...records].map(([name, text]) => listSecret(name, text, { sealer, marks, now }))
      return listed.sort((a, b) => (a.name < b.name ? -1 : 1))
    },
  }

  async function reseal(name: string): Promise<Resealed> {
    let anew = false
    const open = (found: Found): OpenedRecord => {
      anew = found.record !== null && keyIdOf(name, found.record) !== sealer.activeKeyId
      return openFound(name, found, sealer, marks)
    }
    try {
      await change(name, open, ({ versions }) => (anew ? { versions, version: null, warnings: [] } : null))
      return anew ? 'resealed' : 'unchanged'
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error
      // Deleted meanwhile: then there is nothing to seal.
      return error.type === 'UnknownCredential' ? null : { because: error.message }
    }
  }
}

/** One thing after the other: whatever ends it leaves each of them whole. */
async function rekey(
  { store, sealer, texts }: AdministrationPorts,
  reseal: (name: string) => Promise<Resealed>,
  onProgress: (done: number, of: number) => void,
): Promise<RekeyReport> {
  const records = [...((await store.load(null))?.records ?? [])].sort(([a], [b]) => (a < b ? -1 : 1))
  const others = texts.of(records.flatMap(([name, text]) => versionsIn(name, text).map((version) => ({ ...version, name }))))
  const work = [
    ...records.map(([name]) => ({ name, run: () => reseal(name) })),
    ...others.map((text) => ({ name: text.purpose, run: () => resealText(text, texts) })),
  ]
  const report = { resealed: [] as string[], unchanged: 0, failed: [] as { name: string; because: string }[] }
  for (const [index, { name, run }] of work.entries()) {
    const done = await run()
    if (done === 'resealed') report.resealed.push(name)
    else if (done === 'unchanged') report.unchanged++
    else if (done !== null) report.failed.push({ name, because: done.because })
    onProgress(index + 1, work.length)
  }
  return { keyId: sealer.activeKeyId, ...report }
}

/** null: there is nothing. */
type Resealed = 'resealed' | 'unchanged' | { readonly because: string } | null

async function resealText(text: LastingText, texts: LastingTexts): Promise<Resealed> {
  try {
    const done = await texts.reseal(text)
    return done === null ? null : done ? 'resealed' : 'unchanged'
  } catch (error) {
    if (error instanceof SealError || error instanceof GatewayError) return { because: error.message }
    throw error
  }
}

const credentialsOf = ({ name, versions }: OpenedRecord): Credential[] => versions.map((version) => ({ ...version, name }))

type Found = Awaited<ReturnType<SecretStore['get']>>

function openFound(name: string, { record }: Found, sealer: Sealer, marks: HighWater): OpenedRecord {
  if (record === null) throw notStored(name)
  try {
    return openKnown(sealer, marks, name, record)
  } catch (error) {
    if (!(error instanceof SealError)) throw error
    throw new GatewayError('CredentialUnavailable', `${error.message}; set it anew, or delete it`)
  }
}

/** Whatever cannot be used gives way, so that an operator who lost a key can begin again. */
function openForSet(name: string, found: Found, sealer: Sealer, marks: HighWater) {
  const none: OpenedRecord = { name, revision: Math.max(found.revision, marks.of(name)), versions: [] }
  if (found.record === null) return { record: none, fault: null }
  try {
    return { record: openKnown(sealer, marks, name, found.record), fault: null }
  } catch (error) {
    if (!(error instanceof SealError)) throw error
    return { record: none, fault: error.message }
  }
}

function lastOf({ name, versions }: OpenedRecord): OpenedVersion {
  const last = versions.at(-1)
  if (!last) throw notStored(name)
  return last
}

function listSecret(name: string, text: string, at: { sealer: Sealer; marks: HighWater; now: number }): ListedSecret {
  try {
    // Opened, so that an edited record is not listed as if it were good; the values are dropped at once.
    const { versions } = openKnown(at.sealer, at.marks, name, text)
    const { current } = chooseVersion(versions, at.now)
    return {
      name,
      keyId: keyIdOf(name, text) ?? '',
      versions: versions.map((each) => {
        const { secret: _secret, ...clear } = each
        return { ...clear, state: stateOf(each, current, at.now) }
      }),
    }
  } catch (error) {
    if (!(error instanceof SealError)) throw error
    return { name, fault: error.message }
  }
}

const notStored = (name: string): GatewayError => new GatewayError('UnknownCredential', `there is no secret "${name}"`)

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : 'unexpected fault')
