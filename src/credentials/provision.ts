// Putting a secret into a store: checked, normalised, numbered, sealed. The command line, the admin entrance and the sample
// configuration all come through here.
import type { z } from 'zod'
import { GatewayError } from '../errors/gateway-error.ts'
import { originOf } from '../model/mount.ts'
import type { Secret, SecretScheme, SecretStore } from '../model/ports.ts'
import { faultsOf } from './scheme.ts'
import { SCHEMES } from './schemes/index.ts'
import type { Sealer } from './seal.ts'

export interface NewSecret {
  readonly name: string
  readonly scheme: SecretScheme
  readonly values: Readonly<Record<string, string>>
  /** `scheme://host[:port]` each; at least one. */
  readonly origins: readonly string[]
  /** Names of callers, or "*" for every one; at least one. */
  readonly callers: readonly string[]
}

/** contract, "Units and JSON". */
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
/** Two writers at once are rare; more than this many in a row are a fault. */
const MAX_TRIES = 5

/** Throws InvalidDescriptor naming each fault. Origins come back in lower case, default ports left out. */
export function checkSecret(secret: NewSecret): NewSecret {
  const faults: string[] = []
  const scheme = Object.hasOwn(SCHEMES, secret.scheme) ? SCHEMES[secret.scheme] : undefined
  if (!NAME.test(secret.name)) faults.push('name: letters, digits, ".", "_" and "-", 64 at most')
  if (!scheme) faults.push(`scheme: one of ${Object.keys(SCHEMES).join(', ')}`)
  const values = scheme?.values.safeParse(secret.values)
  if (values && !values.success) faults.push(`values: ${faultsOf(values.error as z.ZodError)}`)
  const origins = secret.origins.map((origin) => parseOrigin(origin))
  if (origins.length === 0) faults.push('origins: at least one; a secret without origins could be sent nowhere')
  if (origins.includes(null)) faults.push('origins: scheme://host[:port], without path, query or user')
  if (secret.callers.length === 0) faults.push('callers: at least one; "*" stands for every caller')
  if (secret.callers.some((caller) => caller !== '*' && !NAME.test(caller))) faults.push('callers: names of callers, or "*"')
  if (faults.length > 0) throw new GatewayError('InvalidDescriptor', `secret "${shown(secret.name)}": ${faults.join('; ')}`)
  return { ...secret, origins: origins.filter((origin) => origin !== null) }
}

function parseOrigin(text: string): string | null {
  if (!/^https?:\/\/[^/?#@\\\s]+\/?$/i.test(text) || !URL.canParse(text)) return null
  return originOf(new URL(text))
}

const shown = (name: string): string => (NAME.test(name) ? name : '?')

/** Stores `secret` as the next version of its name and says which that is. Throws Overloaded where the store is away. */
export async function provisionSecret(store: SecretStore, sealer: Sealer, secret: NewSecret): Promise<number> {
  const checked = checkSecret(secret)
  for (let tries = 0; tries < MAX_TRIES; tries++) {
    const version = (await store.version(checked.name)) + 1
    const sealed: Secret = { ...checked, version }
    if (await store.put(checked.name, version, sealer.seal(sealed))) return version
  }
  throw new GatewayError('Overloaded', `secret "${checked.name}" is being changed by somebody else at the same time; try again`)
}
