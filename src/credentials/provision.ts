// A secret as it is given: checked and normalised before it is sealed.
import type { z } from 'zod'
import { GatewayError } from '../errors/gateway-error.ts'
import { originOf } from '../model/mount.ts'
import type { SecretPool, SecretScheme } from '../model/ports.ts'
import { faultsOf, type Scheme } from './scheme.ts'
import { SCHEMES } from './schemes/index.ts'

export interface NewSecret {
  readonly name: string
  readonly scheme: SecretScheme
  /** Where there is a pool, its first member. */
  readonly values: Readonly<Record<string, string>>
  /** Absent: one set of values. */
  readonly pool?: SecretPool
  /** `scheme://host[:port]` each; at least one. */
  readonly origins: readonly string[]
  /** Names of callers, or "*" for every one; at least one. */
  readonly callers: readonly string[]
}

/** contract, "Units and JSON". */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
const MAX_MEMBERS = 1000

/** Of all values together, as JSON: a certificate with its chain and key has some 10,000, a pool of a hundred keys as many. */
const MAX_CHARACTERS = 256 * 1024
const MAX_BINDINGS = 1000

/** Throws InvalidDescriptor naming each fault. Origins come back in lower case, default ports left out. */
export function checkSecret(secret: NewSecret): NewSecret {
  const faults: string[] = []
  const scheme = Object.hasOwn(SCHEMES, secret.scheme) ? SCHEMES[secret.scheme] : undefined
  if (!NAME.test(secret.name)) faults.push('name: letters, digits, ".", "_" and "-", 64 at most')
  if (!scheme) faults.push(`scheme: one of ${Object.keys(SCHEMES).join(', ')}`)
  else faults.push(...faultsOfValues(secret, scheme))
  const origins = secret.origins.map((origin) => parseOrigin(origin))
  if (JSON.stringify([secret.values, secret.pool?.members]).length > MAX_CHARACTERS)
    faults.push(`values: ${MAX_CHARACTERS} characters at most, all together; every replica keeps them in memory`)
  if (origins.length > MAX_BINDINGS || secret.callers.length > MAX_BINDINGS)
    faults.push(`origins, callers: ${MAX_BINDINGS} of each at most; bind a secret narrowly`)
  if (origins.length === 0) faults.push('origins: at least one; a secret without origins could be sent nowhere')
  if (origins.includes(null)) faults.push('origins: scheme://host[:port], without path, query or user')
  if (secret.callers.length === 0) faults.push('callers: at least one; "*" stands for every caller')
  if (secret.callers.some((caller) => caller !== '*' && !NAME.test(caller))) faults.push('callers: names of callers, or "*"')
  if (faults.length > 0) throw new GatewayError('InvalidDescriptor', `secret "${shown(secret.name)}": ${faults.join('; ')}`)
  return { ...secret, values: secret.pool?.members[0] ?? secret.values, origins: origins.filter((origin) => origin !== null) }
}

function faultsOfValues({ values, pool }: NewSecret, scheme: Scheme): string[] {
  const judge = (where: string, given: Readonly<Record<string, string>>): string[] => {
    const judged = scheme.values.safeParse(given)
    return judged.success ? [] : [`${where}: ${faultsOf(judged.error as z.ZodError, scheme.named ? [] : scheme.fields)}`]
  }
  if (pool === undefined) return judge('values', values)
  const faults = pool.members.flatMap((member, index) => judge(`values[${index}]`, member))
  if (scheme.place !== 'request') faults.push(`pool: the scheme ${scheme.name} takes one set of values`)
  if (pool.members.length < 2) faults.push('pool: at least two sets of values')
  if (pool.members.length > MAX_MEMBERS) faults.push(`pool: at most ${MAX_MEMBERS} sets of values`)
  if (new Set(pool.members.map((member) => JSON.stringify(member))).size < pool.members.length)
    faults.push('pool: the same values stand in it twice')
  return faults
}

function parseOrigin(text: string): string | null {
  if (!/^https?:\/\/[^/?#@\\\s]+\/?$/i.test(text) || !URL.canParse(text)) return null
  return originOf(new URL(text))
}

const shown = (name: string): string => (NAME.test(name) ? name : '?')
