// May this hop leave? Scheme and host were settled by the mount; here stand method, port, path and the caller's grants.
// No DNS: addresses are judged where they are dialled (address-rules.ts).
import type { RefusalRule } from '../errors/refusal-rules.ts'
import type { AdapterPolicy } from '../model/adapter-policy.ts'
import type { Caller } from '../model/caller.ts'
import type { PreparedUrl } from '../model/prepared-request.ts'
import { judgeCaller } from './caller-policy.ts'
import { matchesGlob } from './path-glob.ts'

export type EgressVerdict =
  | {
      readonly allowed: true
      readonly because: string
      /** The rule of the caller that would refuse it, were the caller not observed only; null: none would. */
      readonly observed: RefusalRule | null
    }
  | {
      readonly allowed: false
      readonly type: 'Forbidden' | 'EgressDenied'
      readonly rule: RefusalRule
      readonly because: string
    }

export interface EgressAsk {
  readonly adapter: AdapterPolicy
  readonly caller: Caller
  readonly method: string
  readonly url: PreparedUrl
  /** Stored secrets and certificates that the descriptor names. */
  readonly secrets: readonly string[]
}

const ALLOWED: EgressVerdict = { allowed: true, because: 'no rule refuses it', observed: null }

export function judgeEgress(ask: EgressAsk): EgressVerdict {
  const refusal = judgeAdapter(ask)
  if (refusal) return refusal
  const verdict = judgeGrants(ask)
  if (verdict.allowed || !ask.caller.observe) return verdict
  return { allowed: true, because: verdict.because, observed: verdict.rule }
}

/** The adapter's own rules, which hold whoever calls. */
function judgeAdapter({ adapter, method, url }: EgressAsk): EgressVerdict | null {
  if (adapter.methods !== null && !adapter.methods.includes(method)) {
    return forbidden(
      'adapter-method',
      `adapter "${adapter.name}" does not take ${method}; its methods are ${adapter.methods.join(', ')}`,
    )
  }
  if (adapter.egress.ports !== null && !adapter.egress.ports.includes(url.port)) {
    return {
      allowed: false,
      type: 'EgressDenied',
      rule: 'egress-port',
      because: `port ${url.port} is not among egress.ports of adapter "${adapter.name}"`,
    }
  }
  const disguise = adapter.paths !== null || mountHasPath(adapter.mount) ? findDisguise(url.path) : null
  if (disguise !== null) return disguised(disguise, `adapter "${adapter.name}"`)
  if (adapter.paths !== null && !adapter.paths.some((glob) => matchesGlob(glob, url.path))) {
    return forbidden('adapter-path', `the path is not among the paths of adapter "${adapter.name}"`)
  }
  return null
}

function judgeGrants({ adapter, caller, method, url, secrets }: EgressAsk): EgressVerdict {
  const ruled = caller.may?.some((grant) => grant.adapter === adapter.name && grant.paths !== null) ?? false
  const disguise = ruled ? findDisguise(url.path) : null
  if (disguise !== null) return disguised(disguise, `caller "${caller.name}"`)
  const grant = judgeCaller(caller, { adapter: adapter.name, method, path: url.path, secrets })
  return grant.allowed ? ALLOWED : forbidden('caller-grant', grant.because)
}

function disguised(disguise: string, whose: string): EgressVerdict & { readonly allowed: false } {
  return forbidden(
    'path-disguise',
    `${disguise} in the path is refused: a path rule of ${whose} stands on this URL, and servers differ in how they read it`,
  )
}

function forbidden(rule: RefusalRule, because: string): EgressVerdict & { readonly allowed: false } {
  return { allowed: false, type: 'Forbidden', rule, because }
}

/** `https://h/v1` has one; `https://h/`, `https://h` and the catch-alls have none. */
function mountHasPath(mount: string): boolean {
  const slash = mount.indexOf('/', mount.indexOf('://') + 3)
  return slash >= 0 && slash < mount.length - 1
}

const ENCODED_ASCII = /%([0-7][0-9a-f])/g
/** No honest URL is encoded more often; each further layer would cost us another pass. */
const DEEPEST = 4

/** Dot segments as some servers see them: behind a separator that is decoded late, or before parameters ("..;x"). */
const HIDDEN_DOTS = /(?:\/|%2f|%5c)\.\.?(?:;|\/|%2f|%5c|$)/

/** What a lenient server might take for a separator or a dot segment although we do not; null: nothing. */
export function findDisguise(path: string): string | null {
  if (path.includes('\\')) return '"\\"'
  if (!path.includes('%')) return HIDDEN_DOTS.test(path) ? 'a hidden dot segment' : null
  let text = path.toLowerCase()
  if (text.includes('%2f')) return '"%2f"'
  if (text.includes('%5c')) return '"%5c"'
  if (text.includes('%c0%a')) return 'a dot or slash in more bytes than it has'
  for (let layer = 1; text.includes('%25'); layer++) {
    if (layer > DEEPEST) return 'an encoding many layers deep'
    text = text.replace(ENCODED_ASCII, (_, code: string) => String.fromCharCode(Number.parseInt(code, 16)))
    if (text.includes('%2e')) return 'a doubly encoded dot'
  }
  return HIDDEN_DOTS.test(text) ? 'a hidden dot segment' : null
}
