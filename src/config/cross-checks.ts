// What keys mean together: combinations that could never work, or that would send a secret where it must not go. Each check
// is a function of its own; schema.ts has judged every key for itself before.

import { adapterChecks, adapterWarnings } from './adapter-checks.ts'
import { isLoopbackHost } from './addresses.ts'
import { auditChecks } from './audit-checks.ts'
import { callerChecks, callerWarnings } from './caller-checks.ts'
import { type Facts, fits, overCeilings, unknownName } from './facts.ts'
import type { Objection } from './faults.ts'
import { redisChecks } from './redis-store.ts'

type Check = (facts: Facts) => Objection[]

const CHECKS: readonly Check[] = [
  listening,
  clientCertificates,
  redisStore,
  oneKeySource,
  auditChecks,
  callerChecks,
  bundleNames,
  defaultsUnderCeilings,
  ceilingsInOrder,
  defaultPlaces,
  adapterChecks,
  notBuilt,
]

export function crossCheck(facts: Facts): Objection[] {
  return CHECKS.flatMap((check) => check(facts))
}

export function crossWarnings(facts: Facts): Objection[] {
  return [
    ...keylessRedis(facts),
    ...callerWarnings(facts),
    ...noAdapters(facts),
    ...openMetrics(facts),
    ...adapterWarnings(facts),
  ]
}

function listening({ config }: Facts): Objection[] {
  const { listen, callers, metrics } = config
  const objections: Objection[] = []
  if (callers.length === 0 && !isLoopbackHost(listen.host)) {
    objections.push({
      path: ['listen', 'host'],
      message: `is ${listen.host}, where anyone who reaches it could use every adapter and its secrets, since no callers are configured; add callers, or listen on 127.0.0.1`,
    })
  }
  if (metrics.listen && metrics.listen.port === listen.port && listen.port !== 0 && metrics.listen.host === listen.host) {
    objections.push({
      path: ['metrics', 'listen', 'port'],
      message: 'is the same as listen.port; choose another, or leave metrics.listen out',
    })
  }
  return objections
}

function clientCertificates({ config }: Facts): Objection[] {
  const { tls } = config.listen
  if (!tls?.requiresClient || tls.asksClient) return []
  return [
    {
      path: ['listen', 'tls', 'requireClientCert'],
      message: 'needs authorities to judge certificates by; name them in listen.tls.clientCa',
    },
  ]
}

function redisStore({ written, config }: Facts): Objection[] {
  return redisChecks(written.store.redis, config.store.prefix, config.store.redis)
}

function oneKeySource({ config }: Facts): Objection[] {
  return (['store', 'audit'] as const).flatMap((section) => {
    const { key, keyFile } = config[section]
    if (key === null || keyFile === null) return []
    return [{ path: [section, 'key'], message: `stands beside ${section}.keyFile; keep one of the two` }]
  })
}

function keylessRedis({ config }: Facts): Objection[] {
  const { redis, key, keyFile } = config.store
  if (redis === null || key !== null || keyFile !== null) return []
  const message =
    'stands without a sealing key: replicas share no secrets and no sessions, and an outcome is known only to the one that had it; set store.keyFile'
  return [{ path: ['store', 'redis'], message }]
}

function bundleNames({ written, config }: Facts): Objection[] {
  const known = [...config.caBundles.keys()]
  const asked = [
    { path: ['defaults', 'tls', 'ca'], ca: written.defaults.tls.ca },
    ...written.adapters.map(({ tls }, index) => ({ path: ['adapters', index, 'tls', 'ca'], ca: tls.ca })),
  ]
  return asked.flatMap(({ path, ca }) =>
    ca === undefined || config.caBundles.has(ca) ? [] : [{ path, message: unknownName(ca, 'bundle in caBundles', known) }],
  )
}

/** Adapters whose own value is over are told so by adapter-checks.ts; here, what they would all inherit. */
function defaultsUnderCeilings({ written }: Facts): Objection[] {
  return overCeilings(written.defaults, written.ceilings).map((objection) => ({
    ...objection,
    path: ['defaults', ...objection.path],
  }))
}

function defaultPlaces({ written }: Facts): Objection[] {
  const { limits, pool } = written.defaults
  return fits(['defaults', 'limits', 'concurrency'], limits.concurrency ?? pool.connections, pool)
}

function ceilingsInOrder({ written }: Facts): Objection[] {
  const { total, ...others } = written.ceilings.timeout
  return Object.entries(others).flatMap(([name, clock]) =>
    clock > total
      ? [
          {
            path: ['ceilings', 'timeout', name],
            message: `is ${clock} ms, but ceilings.timeout.total ends every call after ${total} ms`,
          },
        ]
      : [],
  )
}

function noAdapters({ config }: Facts): Objection[] {
  return config.adapters.length === 0 ? [{ path: ['adapters'], message: 'is empty: every call will be EgressDenied' }] : []
}

function openMetrics({ config }: Facts): Objection[] {
  const listen = config.metrics.listen
  return listen && !isLoopbackHost(listen.host)
    ? [{ path: ['metrics', 'listen', 'host'], message: `is ${listen.host}: anyone who reaches it can read the metrics` }]
    : []
}

/** Keys of the file's format that this version does nothing with: better refused than silently without effect. */
function notBuilt({ config }: Facts): Objection[] {
  const message = 'is not available in this version; leave it out'
  return [...config.adapters.flatMap(({ tunnel }, index) => (tunnel ? [{ path: ['adapters', index, 'tunnel'], message }] : []))]
}
