// Combinations of one adapter's keys, and of adapters with one another, that could never work or would be unsafe.
import type { AdapterPolicy } from '../model/adapter-policy.ts'
import { parseMount } from '../model/mount.ts'
import type { AdapterWritten } from './adapter-schema.ts'
import { coveredMetadata, isMetadata } from './addresses.ts'
import { type Facts, fits, overCeilings, repeated } from './facts.ts'
import type { Objection } from './faults.ts'

interface AdapterFacts extends Facts {
  readonly own: AdapterWritten
  readonly policy: AdapterPolicy
}

/** Paths are the adapter's own; the caller puts `adapters[i]` before them. */
type AdapterCheck = (facts: AdapterFacts) => Objection[]

const EACH: readonly AdapterCheck[] = [
  plaintextSecrets,
  unverifiedSecrets,
  placement,
  certificate,
  underCeilings,
  places,
  burst,
  rateBy,
  metadataItself,
]
const WARNINGS: readonly AdapterCheck[] = [wideEgress, remoteProxy, unverified, idleClock, credentialHeaders]

export function adapterChecks(facts: Facts): Objection[] {
  return [...names(facts), ...mounts(facts), ...each(facts, EACH)]
}

export function adapterWarnings(facts: Facts): Objection[] {
  return each(facts, WARNINGS)
}

function each(facts: Facts, checks: readonly AdapterCheck[]): Objection[] {
  return facts.written.adapters.flatMap((own, index) => {
    const policy = facts.config.adapters[index]
    if (!policy) return []
    return checks
      .flatMap((check) => check({ ...facts, own, policy }))
      .map((objection) => ({ ...objection, path: ['adapters', index, ...objection.path] }))
  })
}

function names({ written }: Facts): Objection[] {
  return repeated(written.adapters.map(({ name }) => name)).map(([index]) => ({
    path: ['adapters', index, 'name'],
    message: `is ${written.adapters[index]?.name}, which another adapter has; give each its own`,
  }))
}

function mounts({ written, config }: Facts): Objection[] {
  return repeated(config.adapters.map((adapter) => adapter.mount)).map(([index, first]) => ({
    path: ['adapters', index, 'mount'],
    message: `is the mount of ${written.adapters[first]?.name} too (${config.adapters[index]?.mount}); one URL prefix belongs to one adapter`,
  }))
}

function overPlainHttp({ policy }: AdapterFacts): boolean {
  return policy.mount.startsWith('http://')
}

function plaintextSecrets(facts: AdapterFacts): Objection[] {
  const { policy } = facts
  if (policy.credentials === null || !overPlainHttp(facts) || policy.allowPlaintextSecrets) return []
  return [
    {
      path: ['credentials'],
      message: `would send ${policy.credentials} over plain http; mount https://, or say allowPlaintextSecrets: true`,
    },
  ]
}

function unverifiedSecrets({ policy }: AdapterFacts): Objection[] {
  if (policy.credentials === null || policy.tls.verify || policy.tls.allowInsecureSecrets) return []
  return [
    {
      path: ['tls', 'verify'],
      message: `is false, so that anyone in between could read ${policy.credentials}; name a CA bundle in tls.ca, or say tls.allowInsecureSecrets: true`,
    },
  ]
}

/** A path that left the mount would be sent where another adapter's rules stand. */
function placement({ policy }: AdapterFacts): Objection[] {
  if (policy.placement === null) return []
  const { path, query, headers, body } = policy.placement
  if (path === null && query.length + headers.length + body.length === 0)
    return [
      {
        path: ['credentials'],
        message: `does not say where the values of ${policy.credentials} go; write path, query, headers or body, or the name alone`,
      },
    ]
  const mount = parseMount(policy.mount)
  const under = mount.ok ? mount.mount.path : ''
  return path === null || path.startsWith(under.endsWith('/') ? under : `${under}/`) || path === under
    ? []
    : [{ path: ['credentials', 'path'], message: `leads out of the mount; begin it with ${under}` }]
}

function certificate(facts: AdapterFacts): Objection[] {
  if (facts.policy.tls.cert === null || !overPlainHttp(facts)) return []
  return [
    { path: ['tls', 'cert'], message: 'needs TLS, and the mount is plain http; mount https://, or leave the certificate out' },
  ]
}

function underCeilings({ own, written }: AdapterFacts): Objection[] {
  return overCeilings(own, written.ceilings)
}

/** Where it is `defaults` that does not fit, that was said there, once. */
function places({ own, policy }: AdapterFacts): Objection[] {
  if (own.limits?.concurrency !== undefined) return fits(['limits', 'concurrency'], policy.limits.concurrency, policy.pool)
  return own.pool === undefined ? [] : fits(['pool'], policy.limits.concurrency, policy.pool)
}

function burst({ own }: AdapterFacts): Objection[] {
  const { rate, burst: given } = own.limits ?? {}
  if (given === undefined) return []
  if (!rate) return [{ path: ['limits', 'burst'], message: 'lowers a rate, and there is none here; write limits.rate too' }]
  return given <= rate.count ? [] : [{ path: ['limits', 'burst'], message: `must be at most the rate's own ${rate.count}` }]
}

function rateBy({ own, policy }: AdapterFacts): Objection[] {
  if (own.limits?.rateBy === undefined || policy.limits.rate !== null) return []
  return [{ path: ['limits', 'rateBy'], message: 'says whose a rate is, and there is none here; write limits.rate too' }]
}

function metadataItself({ own }: AdapterFacts): Objection[] {
  return own.egress.allow.flatMap((cidr, index) =>
    isMetadata(cidr)
      ? [
          {
            path: ['egress', 'allow', index],
            message: `is a cloud's metadata service, which hands out credentials; if that is meant, write it in egress.allowMetadata`,
          },
        ]
      : [],
  )
}

function wideEgress({ own }: AdapterFacts): Objection[] {
  return own.egress.allow.flatMap((cidr, index) => {
    const covered = isMetadata(cidr) ? [] : coveredMetadata(cidr)
    return covered.length === 0
      ? []
      : [
          {
            path: ['egress', 'allow', index],
            message: `covers ${covered.join(', ')}: metadata services, which stay refused unless egress.allowMetadata lists them`,
          },
        ]
  })
}

function remoteProxy({ policy }: AdapterFacts): Objection[] {
  return policy.proxy?.resolve === 'remote'
    ? [
        {
          path: ['proxy', 'resolve'],
          message: "is remote: which addresses are reached is decided by the proxy's own rules, not by egress",
        },
      ]
    : []
}

function unverified({ policy }: AdapterFacts): Objection[] {
  return policy.tls.verify
    ? []
    : [{ path: ['tls', 'verify'], message: `is false: ${policy.name} accepts any certificate, and every envelope says so` }]
}

/** Only where both stand in the adapter itself: a short total beside the common read clock is ordinary. */
function idleClock({ own }: AdapterFacts): Objection[] {
  const { read, total } = own.timeout ?? {}
  return read !== undefined && total !== undefined && read > total
    ? [{ path: ['timeout', 'read'], message: 'is longer than timeout.total, which ends every call before it' }]
    : []
}

/** Sent as they stand: bound to no origin, sealed nowhere, and shown wherever headers are. */
function credentialHeaders({ own }: AdapterFacts): Objection[] {
  const found = own.headers.find(([name]) => /^(authorization|cookie|x-api-key|api-key)$/i.test(name))?.[0]
  return found === undefined
    ? []
    : [
        {
          path: ['headers', found],
          message: 'looks like a credential in plain text; store it as a secret and name that in credentials',
        },
      ]
}
