// What the keys of callers mean together and beside the adapters: who could never be known, who could be taken for another,
// what a policy names that is not there.
import { createRoutes } from '../adapters/routes.ts'
import type { AdapterPolicy } from '../model/adapter-policy.ts'
import { originOf } from '../model/mount.ts'
import { certificateKey } from '../policy/certificate-names.ts'
import { matchesGlob } from '../policy/path-glob.ts'
import type { ConfiguredCaller, JwtConfig } from './config.ts'
import { type Facts, repeated, unknownName } from './facts.ts'
import type { Objection } from './faults.ts'

type Check = (facts: Facts) => Objection[]

const CHECKS: readonly Check[] = [names, keys, grants, quotas, issuers, likeTokens, certificates]

export function callerChecks(facts: Facts): Objection[] {
  return CHECKS.flatMap((check) => check(facts))
}

export function callerWarnings(facts: Facts): Objection[] {
  return [...shortKeys(facts), ...keylessCallers(facts), ...observed(facts)]
}

function names({ config }: Facts): Objection[] {
  return repeated(config.callers.map(({ caller }) => caller.name)).map(([index, first]) => ({
    path: ['callers', index, 'name'],
    message: `is also the name of callers[${first}]; give each caller its own`,
  }))
}

function keys({ config }: Facts): Objection[] {
  const owners = new Map<string, string>()
  return config.callers.flatMap(({ caller, keyHashes }, index) => {
    const objections: Objection[] = []
    for (const [at, hash] of keyHashes.entries()) {
      const owner = owners.get(hash)
      if (owner !== undefined)
        objections.push({
          path: ['callers', index, 'keys', at],
          message: `is already a key of ${owner}; every key belongs to one caller, once`,
        })
      owners.set(hash, caller.name)
    }
    return objections
  })
}

function grants({ config }: Facts): Objection[] {
  const names = config.adapters.map(({ name }) => name)
  const known = new Set(names)
  return config.callers.flatMap(({ caller }, index) =>
    (caller.may ?? []).flatMap((grant, at) => {
      if (known.has(grant.adapter)) return []
      return [{ path: ['callers', index, 'may', at, 'adapter'], message: unknownName(grant.adapter, 'adapter', names) }]
    }),
  )
}

function quotas({ written }: Facts): Objection[] {
  return written.callers.flatMap(({ quota }, index): Objection[] => {
    if (quota === undefined) return []
    const { rate, burst, concurrency } = quota
    const path = ['callers', index, 'quota']
    if (rate === undefined && burst !== undefined)
      return [{ path: [...path, 'burst'], message: 'lowers a rate, and there is none here; write quota.rate too' }]
    if (rate === undefined && concurrency === undefined)
      return [{ path, message: 'limits nothing; write a rate or a concurrency in it, or leave it out' }]
    if (burst === undefined || rate === undefined || burst <= rate.count) return []
    return [{ path: [...path, 'burst'], message: `must be at most the rate's own ${rate.count}` }]
  })
}

function observed({ config }: Facts): Objection[] {
  return config.callers.flatMap(({ caller }, index) =>
    caller.observe
      ? [
          {
            path: ['callers', index, 'observe'],
            message: `is on: may and quota refuse ${caller.name} nothing, every adapter is open to it; only what would be refused is told`,
          },
        ]
      : [],
  )
}

interface WithJwt {
  readonly index: number
  readonly name: string
  readonly jwt: JwtConfig
}

function withJwt(callers: readonly ConfiguredCaller[]): WithJwt[] {
  return callers.flatMap(({ caller, jwt }, index) => (jwt === null ? [] : [{ index, name: caller.name, jwt }]))
}

/** The keys are fetched as any call is: whoever could answer in the issuer's place could be every caller of it. */
function issuers({ config }: Facts): Objection[] {
  const first = new Map<string, WithJwt>()
  return withJwt(config.callers).flatMap((one) => {
    const { index, jwt } = one
    const path = ['callers', index, 'jwt', 'jwksUri']
    const before = first.get(jwt.issuer) ?? one
    first.set(jwt.issuer, before)
    if (before.jwt.jwksUri !== jwt.jwksUri)
      return [
        { path, message: `is another than that of ${before.name}, whose issuer is the same; one issuer has one set of keys` },
      ]
    const doubt = doubtAbout(adapterOf(jwt.jwksUri, config.adapters, config.ceilings))
    return doubt === null ? [] : [{ path, message: doubt }]
  })
}

function adapterOf(uri: string, adapters: readonly AdapterPolicy[], ceilings: Facts['config']['ceilings']): AdapterPolicy | null {
  const url = new URL(uri)
  const mounts = new Set<string>()
  // Two on one mount are reported where adapters are checked.
  const distinct = adapters.filter(({ mount }) => !mounts.has(mount) && mounts.add(mount))
  const scheme = url.protocol === 'http:' ? 'http' : 'https'
  const found = createRoutes(distinct, ceilings, new Set()).find({
    ...{ href: url.href, scheme, hostname: url.hostname, port: 0, origin: originOf(url) },
    ...{ target: url.pathname, path: url.pathname, fragment: '' },
  })
  return found?.adapter ?? null
}

function doubtAbout(adapter: AdapterPolicy | null): string | null {
  if (adapter === null) return 'is under no adapter, so that the keys could not be fetched; mount one there'
  if (adapter.mount.startsWith('http:') && !adapter.allowPlaintextSecrets)
    return `would fetch the issuer's keys over plain http, where anyone in between could put in their own; use https, or say allowPlaintextSecrets: true in adapter ${adapter.name}`
  if (!adapter.mount.startsWith('http:') && !adapter.tls.verify && !adapter.tls.allowInsecureSecrets)
    return `would fetch the issuer's keys from a server that is not verified; name a CA bundle in tls.ca of adapter ${adapter.name}, or say tls.allowInsecureSecrets: true`
  return null
}

/** Every token of the one would be one of the other too. */
function likeTokens({ config }: Facts): Objection[] {
  const seen: WithJwt[] = []
  return withJwt(config.callers).flatMap((one) => {
    const other = seen.find(({ jwt }) => covers(jwt, one.jwt) || covers(one.jwt, jwt))
    seen.push(one)
    if (!other) return []
    return [
      {
        path: ['callers', one.index, 'jwt'],
        message: `cannot be told from that of ${other.name}: a token can be of both; give each claims that the other's tokens do not carry`,
      },
    ]
  })
}

/** Whatever is a token of `narrow` is one of `wide`, as far as that can be said without tokens. */
function covers(wide: JwtConfig, narrow: JwtConfig): boolean {
  if (wide.issuer !== narrow.issuer || wide.audience !== narrow.audience) return false
  const held = new Map(narrow.claims)
  return wide.claims.every(([name, glob]) => {
    const other = held.get(name)
    return other !== undefined && (other === glob || (!other.includes('*') && matchesGlob(glob, other)))
  })
}

function certificates({ config }: Facts): Objection[] {
  const owners = new Map<string, string>()
  return config.callers.flatMap(({ caller, certificates }, index) =>
    certificates.flatMap((certificate, at): Objection[] => {
      const path = ['callers', index, 'certificates', at]
      if (!config.listen.tls?.asksClient)
        return [
          { path, message: 'is never seen: no client certificate is asked for; name their authorities in listen.tls.clientCa' },
        ]
      const key = certificateKey(certificate)
      if (key === null) return [{ path, message: 'must have one of san, subject (such as "CN=api,O=Billing") and sha256' }]
      const owner = owners.get(key)
      owners.set(key, caller.name)
      return owner === undefined
        ? []
        : [{ path, message: `is already one of ${owner}; a certificate belongs to one caller, once` }]
    }),
  )
}

function shortKeys({ written }: Facts): Objection[] {
  return written.callers.flatMap(({ keys }, index) =>
    keys.flatMap((key, at) =>
      typeof key === 'string' && key.length < 16
        ? [
            {
              path: ['callers', index, 'keys', at],
              message: 'is shorter than 16 characters and could be guessed; make one with: openssl rand -hex 32',
            },
          ]
        : [],
    ),
  )
}

function keylessCallers({ config }: Facts): Objection[] {
  return config.callers.flatMap(({ caller, keyHashes, jwt, certificates }, index) =>
    keyHashes.length === 0 && jwt === null && certificates.length === 0
      ? [
          {
            path: ['callers', index],
            message: `(${caller.name}) has nothing here to be known by; unless it has a stored key, make one: sallyport callers create ${caller.name}`,
          },
        ]
      : [],
  )
}
