// What the checks of cross-checks.ts and adapter-checks.ts look at, and the few things they all do.
import type { AdapterWritten } from './adapter-schema.ts'
import type { Config } from './config.ts'
import { type KeyPath, type Objection, writePath } from './faults.ts'
import { nearest } from './fields.ts'
import type { Written } from './schema.ts'

/** The configuration as written and as it came out; positions are those of what was written. */
export interface Facts {
  readonly written: Written
  readonly config: Config
}

interface Bound {
  /** Under `defaults` or an adapter. */
  readonly path: KeyPath
  readonly ceilingPath: KeyPath
  readonly unit: string
  readonly value: (policy: AdapterWritten | Written['defaults']) => number | undefined
  /** undefined: none of its own; the total clock bounds it all the same. */
  readonly ceiling: (ceilings: Written['ceilings']) => number | undefined
}

const clock = (name: 'connect' | 'read' | 'total'): Bound => ({
  path: ['timeout', name],
  ceilingPath: ['ceilings', 'timeout', name],
  unit: ' ms',
  value: (policy) => policy.timeout?.[name],
  ceiling: (ceilings) => ceilings.timeout[name],
})

const BOUNDS: readonly Bound[] = [
  clock('connect'),
  clock('read'),
  clock('total'),
  {
    path: ['retry', 'total'],
    ceilingPath: ['ceilings', 'maxRetries'],
    unit: '',
    value: (policy) => policy.retry?.total,
    ceiling: (ceilings) => ceilings.maxRetries,
  },
  {
    path: ['responseSize'],
    ceilingPath: ['ceilings', 'responseSize'],
    unit: ' bytes',
    value: (policy) => policy.responseSize,
    ceiling: (ceilings) => ceilings.responseSize,
  },
]

/** What `defaults` or an adapter sets above its ceiling. */
export function overCeilings(policy: AdapterWritten | Written['defaults'], ceilings: Written['ceilings']): Objection[] {
  return BOUNDS.flatMap(({ path, ceilingPath, unit, value, ceiling }) => {
    const [number, most] = [value(policy), ceiling(ceilings)]
    if (number === undefined || most === undefined || number <= most) return []
    const limit = `${writePath(ceilingPath)}, which is ${most}${unit}`
    return [{ path, or: ceilingPath, message: `is ${number}${unit}, over ${limit}; lower the one or raise the other` }]
  })
}

/** [index, index of the first of that name] of every entry that was there before. */
export function repeated(names: readonly string[]): (readonly [number, number])[] {
  const first = new Map<string, number>()
  return names.flatMap((name, index) => {
    const before = first.get(name)
    if (before !== undefined) return [[index, before] as const]
    first.set(name, index)
    return []
  })
}

/** `what` as in "adapter" or "bundle in caBundles". */
export function unknownName(name: string, what: string, known: readonly string[]): string {
  const near = nearest(name, known)
  const hint = near ? `did you mean ${near}?` : known.length === 0 ? 'there is none' : `known: ${known.slice(0, 20).join(', ')}`
  return `names ${name}, which is no ${what}; ${hint}`
}

/** Without HTTP/2 a connection carries one call: places beyond the connections would wait a second time, unseen. */
export function fits(
  path: KeyPath,
  concurrency: number,
  pool: { readonly connections: number; readonly http2: boolean },
): Objection[] {
  if (pool.http2 || concurrency <= pool.connections) return []
  const numbers = `limits.concurrency is ${concurrency} and pool.connections ${pool.connections}`
  return [
    {
      path,
      message: `does not fit: ${numbers}, and without pool.http2 a connection carries one call at a time; make them equal`,
    },
  ]
}
