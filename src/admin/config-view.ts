// The configuration in effect, as operators may see it: all of it, with everything secret shown as ***. What is not known to be
// harmless is masked, so that a key that is new is no leak. Pure but for hashing.
import { createHash } from 'node:crypto'
import type { Config } from '../config/config.ts'
import type { AdapterPolicy } from '../model/adapter-policy.ts'

const MASK = '***'
/** Values that say how to talk, not who talks. */
const SHOWN_HEADERS: ReadonlySet<string> = new Set([
  ...['accept', 'accept-charset', 'accept-encoding', 'accept-language', 'cache-control', 'content-type', 'prefer', 'user-agent'],
])
const SHOWN_STORE: ReadonlySet<string> = new Set(['kind', 'prefix', 'keyFile', 'installation'])
const SECRET_NAME = /(?:password|passphrase|secret|token|credential|key|keys)$/i
/** Of the names that look like secrets: those that are none. */
const NO_SECRET: ReadonlySet<string> = new Set(['credentials', 'keyFile'])

type View = Record<string, unknown>

export function viewConfig({ store, callers, adapters, caBundles, audit, ...rest }: Config): View {
  return {
    ...(masked(rest) as View),
    audit: viewAudit(audit),
    store: storeMasked(store),
    callers: callers.map(({ caller, keyHashes, ...others }) => ({
      ...caller,
      keys: keyHashes.length,
      ...(masked(others) as View),
    })),
    adapters: adapters.map(viewAdapter),
    caBundles: Object.fromEntries([...caBundles].map(([name, pem]) => [name, { sha256: sha256(pem) }])),
  }
}

export function viewAdapter({ headers, params, cookies, breaker, ...rest }: AdapterPolicy): View {
  return {
    ...(masked(rest) as View),
    headers: headers.map(([name, value]) => [name, SHOWN_HEADERS.has(name.toLowerCase()) ? value : MASK]),
    params: params.map(([name]) => [name, MASK]),
    cookies: cookies.map(([name]) => [name, MASK]),
    breaker: breaker && { ...breaker, statuses: ranges(breaker.statuses) },
  }
}

function viewAudit({ sinks, ...rest }: Config['audit']): View {
  const views = sinks.map((sink) => {
    if (sink.type === 'stdout') return sink
    const { headers, ca, url, ...others } = sink
    const [place] = url.split(/[?#]/)
    return {
      ...others,
      url: withoutUserinfo(place ?? ''),
      headers: mapValues({ ...headers }, () => MASK),
      ca: ca && { sha256: sha256(ca) },
    }
  })
  return { ...(masked(rest) as View), sinks: views }
}

/** Where it is and how it is reached is nobody's business: of its texts only those that are listed. */
function storeMasked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(storeMasked)
  if (typeof value === 'string') return MASK
  if (typeof value !== 'object' || value === null) return value
  return mapValues(value as View, (member, name) => (SHOWN_STORE.has(name) ? member : storeMasked(member)))
}

function masked(value: unknown): unknown {
  if (typeof value === 'string') return withoutUserinfo(value)
  if (Array.isArray(value)) return value.map(masked)
  if (value instanceof Map) return masked(Object.fromEntries(value))
  if (typeof value !== 'object' || value === null) return value
  return mapValues(value as View, (member, name) =>
    typeof member === 'string' && SECRET_NAME.test(name) && !NO_SECRET.has(name) ? MASK : masked(member),
  )
}

function mapValues(record: View, make: (value: unknown, name: string) => unknown): View {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, make(value, name)]))
}

function withoutUserinfo(text: string): string {
  return text.replace(/^([a-z][a-z0-9+.-]*:\/\/)[^/?#]*@/i, `$1${MASK}@`)
}

function sha256(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}

/** 500, 502, 503 … 599 as "500", "502-599". */
function ranges(numbers: readonly number[]): string[] {
  const runs: [first: number, last: number][] = []
  for (const number of [...numbers].sort((a, b) => a - b)) {
    const run = runs.at(-1)
    if (run && number <= run[1] + 1) run[1] = number
    else runs.push([number, number])
  }
  return runs.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`))
}
