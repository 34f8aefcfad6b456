// Stored secrets as a person and as a script read them. There is no value in what they are made from.
import type { ListedSecret, ListedVersion } from '../credentials/administer.ts'
import { writeRows } from './write-units.ts'

const HEAD = ['name', 'version', 'state', 'scheme', 'origins', 'callers', 'created', 'expires in', 'key']

/** A row for each version; below them what cannot be used, and why. No line where nothing is stored. */
export function secretLines(listed: readonly ListedSecret[], now: number): string[] {
  const rows = listed.flatMap((secret) =>
    'fault' in secret ? [] : secret.versions.map((version) => rowOf(secret, version, now)),
  )
  const faults = listed.flatMap((secret) => ('fault' in secret ? [`${secret.name}  REFUSED  ${secret.fault}`] : []))
  return [...(rows.length === 0 ? [] : writeRows([HEAD, ...rows], '')), ...faults]
}

function rowOf({ name, keyId }: { name: string; keyId: string }, version: ListedVersion, now: number): string[] {
  const { pool, origins, callers, createdAt } = version
  const scheme = pool ? `${version.scheme} (pool of ${pool.size}, ${pool.pick})` : version.scheme
  return [
    name,
    String(version.version),
    stateText(version, now),
    scheme,
    origins.join(' '),
    callers.join(' '),
    createdAt === null ? '-' : `${new Date(createdAt).toISOString().slice(0, 16)}Z`,
    version.expiresAt === null ? '-' : timeLeft(version.expiresAt - now),
    keyId,
  ]
}

function stateText({ state, overlapUntil, notBefore }: ListedVersion, now: number): string {
  if (overlapUntil !== null && overlapUntil > now && (state === 'previous' || state === 'current'))
    return `${state} for ${timeLeft(overlapUntil - now)}`
  return state === 'next' && notBefore !== null ? `next in ${timeLeft(notBefore - now)}` : state
}

const UNITS: readonly (readonly [unit: string, worth: number])[] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
]

/** In the largest unit of which there are two, rounded down: what is left is never overstated. */
function timeLeft(ms: number): string {
  if (ms <= 0) return 'expired'
  const [unit, worth] = UNITS.find(([, each]) => ms >= 2 * each) ?? ['s', 1000]
  return `${Math.floor(ms / worth)}${unit}`
}

/** Instants are RFC 3339. */
export function secretJson(secret: ListedSecret): unknown {
  if ('fault' in secret) return secret
  return { ...secret, versions: secret.versions.map(versionJson) }
}

function versionJson(version: ListedVersion): unknown {
  const { createdAt, notBefore, expiresAt, overlapUntil, revokedAt } = version
  const instants = { createdAt, notBefore, expiresAt, overlapUntil, revokedAt }
  const written = Object.entries(instants).map(([name, at]) => [name, at === null ? null : new Date(at).toISOString()])
  return { ...version, ...Object.fromEntries(written) }
}
