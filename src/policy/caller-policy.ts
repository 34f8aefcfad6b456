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
  /** Stored secrets and certificates that the descriptor names; what the adapter attaches by itself comes with the adapter. */
  readonly secrets: readonly string[]
}

const UNBOUND: CallerVerdict = { allowed: true, because: 'the caller has no limits' }
const GRANTED: CallerVerdict = { allowed: true, because: 'a grant of the caller covers it' }

/** What a grant must cover, in this order: the further one comes, the nearer it was to covering the call. */
const STEPS = ['adapter', 'method', 'path', 'secrets', 'all'] as const
const ALL = STEPS.length - 1

/** One grant must cover adapter, method, path and secrets together. The reason names the nearest grant and what it lacks. */
export function judgeCaller(caller: Caller, ask: CallerAsk): CallerVerdict {
  if (caller.may === null) return UNBOUND
  let furthest = 0
  let nearest = -1
  for (let index = 0; index < caller.may.length; index++) {
    const step = stepsOf(caller.may[index] as Grant, ask)
    if (step === ALL) return GRANTED
    if (step <= furthest) continue
    furthest = step
    nearest = index
  }
  const grant = caller.may[nearest]
  const subject = `caller "${caller.name}" may not use adapter "${ask.adapter}"`
  return {
    allowed: false,
    because:
      grant === undefined ? `${subject} at all: no grant of its names it` : `${subject} ${lack(furthest, grant, nearest, ask)}`,
  }
}

function stepsOf(grant: Grant, { adapter, method, path, secrets }: CallerAsk): number {
  if (grant.adapter !== adapter) return 0
  if (grant.methods !== null && !grant.methods.includes(method)) return 1
  if (grant.paths !== null && !grant.paths.some((glob) => matchesGlob(glob, path))) return 2
  return notListed(grant, secrets) === undefined ? ALL : 3
}

/** The first of `secrets` that the grant does not list. */
function notListed({ secrets: listed }: Grant, secrets: readonly string[]): string | undefined {
  return listed === undefined ? undefined : secrets.find((name) => !listed.includes(name))
}

function lack(step: number, grant: Grant, index: number, { method, secrets }: CallerAsk): string {
  const its = `its grant may[${index}]`
  switch (STEPS[step]) {
    case 'method':
      return `with ${method}: ${its} takes ${grant.methods?.join(', ')}`
    case 'path':
      return `on this path: it is not among those of ${its}`
    default:
      return `with secret "${notListed(grant, secrets)}": ${its} lists ${grant.secrets?.join(', ') || 'none'}`
  }
}
