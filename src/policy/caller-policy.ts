// May this caller make this call? Judged by its grants alone; the adapter's own rules are egress-rule.ts' business.
import type { Caller, Grant } from '../model/caller.ts'
import { matchesGlob } from './path-glob.ts'

export interface CallerVerdict {
  readonly allowed: boolean
  readonly because: string
}

export interface CallerAsk {
  readonly adapter: string
  readonly method: string
  /** As it will be sent: dot segments removed, no query. */
  readonly path: string
}

const UNBOUND: CallerVerdict = { allowed: true, because: 'the caller has no limits' }
const GRANTED: CallerVerdict = { allowed: true, because: 'a grant of the caller covers it' }

/** One grant must cover adapter, method and path together. The reason names what the nearest grant lacked. */
export function judgeCaller(caller: Caller, ask: CallerAsk): CallerVerdict {
  if (caller.may === null) return UNBOUND
  let adapterNamed = false
  let methodNamed = false
  for (const grant of caller.may) {
    if (grant.adapter !== ask.adapter) continue
    adapterNamed = true
    if (grant.methods !== null && !grant.methods.includes(ask.method)) continue
    methodNamed = true
    if (coversPath(grant, ask.path)) return GRANTED
  }
  const lacking = methodNamed ? 'on this path' : adapterNamed ? `with ${ask.method}` : 'at all'
  return {
    allowed: false,
    because: `caller "${caller.name}" may not use adapter "${ask.adapter}" ${lacking}; a grant under callers[].may would allow it`,
  }
}

function coversPath(grant: Grant, path: string): boolean {
  return grant.paths === null || grant.paths.some((glob) => matchesGlob(glob, path))
}
