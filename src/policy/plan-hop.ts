// The adapter's policy with the descriptor's wishes worked in: clamped once, trusted below. What the contract forbids
// outright is refused here, before anything is connected or any secret is looked up.
import { GatewayError } from '../errors/gateway-error.ts'
import type { RefusalRule } from '../errors/refusal-rules.ts'
import type { AdapterPolicy, Ceilings, RetryPolicy } from '../model/adapter-policy.ts'
import type { Descriptor, RetryAsk } from '../model/descriptor.ts'
import type { CredentialChoice, HopPlan } from '../model/hop.ts'
import type { Routes } from '../model/ports.ts'
import { MOST_REDIRECTS } from './next-hop.ts'

export interface HopAsk {
  readonly adapter: AdapterPolicy
  /** Why this adapter. */
  readonly because: string
  readonly descriptor: Descriptor
  readonly routes: Routes
  /** Of this hop: a redirect may have changed it. */
  readonly method: string
  /** From the descriptor's URL. */
  readonly userinfo: { readonly username: string; readonly password: string } | null
  /** A redirect left scheme, host or port since the first hop: what was given for that origin stays there. */
  readonly originChanged: boolean
}

const NO_CREDENTIAL: CredentialChoice = { kind: 'none' }

/** Throws Forbidden where the combination is not allowed, InvalidDescriptor where `verify` names no bundle. */
export function planHop(ask: HopAsk): { plan: HopPlan; warnings: string[] } {
  const { adapter, descriptor, routes, method } = ask
  const { ceilings } = routes
  const warnings: string[] = []
  const { connect, read } = descriptor.timeout
  const retry = planRetry(adapter.retry, descriptor.maxRetries, ceilings.maxRetries, warnings)
  const tls = planTls(ask, warnings)
  const credential = chooseCredential(ask)
  refuseUnsafe(ask, tls, credential)
  if (descriptor.maxRedirects > MOST_REDIRECTS) warnings.push(`maxRedirects clamped to ${MOST_REDIRECTS}`)
  const { timeout } = adapter
  const plan: HopPlan = {
    adapter,
    because: ask.because,
    connectMs: clamp(connect, timeout.connectMs, ceilings.timeout.connectMs, 'timeout.connect', warnings),
    readMs: clamp(read, timeout.readMs, ceilings.timeout.readMs, 'timeout.read', warnings),
    retry,
    repeatable: descriptor.idempotencyKey !== undefined || (retry.allowedMethods?.includes(method) ?? true),
    maxResponseBytes: clamp(descriptor.maxResponseSize, adapter.responseSize, ceilings.responseSize, 'maxResponseSize', warnings),
    tls,
    credential,
  }
  return { plan, warnings }
}

/**
 * The total clock of the whole call, which is armed before its first hop is planned, and the key that set it. `timeLeftMs`: how
 * long the caller itself waits, which only shortens it; null: it did not say.
 */
export function callTimeoutMs(
  descriptor: Descriptor,
  adapter: AdapterPolicy,
  ceilings: Ceilings,
  timeLeftMs: number | null,
): { totalMs: number; key: 'timeout.total' | 'X-Sallyport-Timeout'; warnings: string[] } {
  const warnings: string[] = []
  const asked = descriptor.timeout.total
  const totalMs = clamp(asked, adapter.timeout.totalMs, ceilings.timeout.totalMs, 'timeout.total', warnings)
  if (timeLeftMs === null || timeLeftMs >= totalMs) return { totalMs, key: 'timeout.total', warnings }
  return { totalMs: Math.max(0, Math.floor(timeLeftMs)), key: 'X-Sallyport-Timeout', warnings }
}

/** The adapter's own value where nothing was asked; else what was asked, up to the ceiling. */
function clamp(asked: number | undefined, own: number, ceiling: number, key: string, warnings: string[]): number {
  if (asked === undefined) return own
  if (asked <= ceiling) return asked
  warnings.push(`${key} clamped to ${ceiling}`)
  return ceiling
}

function planRetry(own: RetryPolicy, ask: RetryAsk | undefined, ceiling: number, warnings: string[]): RetryPolicy {
  if (ask === undefined) return own
  const total = clamp(ask.total, own.total, ceiling, 'maxRetries', warnings)
  const counter = (key: 'connect' | 'read' | 'status'): number | null => {
    const asked = ask[key]
    if (asked === undefined) return own[key]
    // A plain number bounds every reason by the same, and is warned of once.
    return asked === ask.total ? total : clamp(asked, 0, ceiling, `maxRetries.${key}`, warnings)
  }
  return {
    ...own,
    total,
    connect: counter('connect'),
    read: counter('read'),
    status: counter('status'),
    statusForcelist: ask.statusForcelist ?? own.statusForcelist,
    allowedMethods: narrowMethods(own.allowedMethods, ask.allowedMethods ?? undefined, warnings),
    backoffFactorMs: ask.backoffFactor ?? own.backoffFactorMs,
    backoffMaxMs: ask.backoffMax ?? own.backoffMaxMs,
    respectRetryAfterHeader: ask.respectRetryAfterHeader ?? own.respectRetryAfterHeader,
    raiseOnStatus: ask.raiseOnStatus ?? own.raiseOnStatus,
  }
}

/** Only an adapter may widen this list: repeating a POST is a decision about the upstream, not about one call. */
function narrowMethods(
  own: readonly string[] | null,
  asked: readonly string[] | undefined,
  warnings: string[],
): readonly string[] | null {
  if (asked === undefined) return own
  if (own === null) return asked
  const allowed = asked.filter((method) => own.includes(method))
  if (allowed.length < asked.length) warnings.push(`maxRetries.allowedMethods clamped to ${allowed.join(', ') || 'none'}`)
  return allowed
}

function planTls(ask: HopAsk, warnings: string[]): HopPlan['tls'] {
  const { adapter, descriptor, routes } = ask
  const own = adapter.tls
  const verify = judgeVerify(descriptor.verify, adapter, routes.caBundles)
  const cert = (ask.originChanged ? undefined : descriptor.cert) ?? own.cert
  if (!verify && !isPlaintext(adapter)) {
    const who = own.verify ? '`verify` is false' : `tls.verify of adapter "${adapter.name}" is false`
    warnings.push(`InsecureRequestWarning: the server's certificate is not verified, since ${who}`)
  }
  const ca = typeof descriptor.verify === 'string' ? descriptor.verify : own.ca
  return verify === own.verify && cert === own.cert && ca === own.ca ? own : { verify, ca, cert }
}

function judgeVerify(asked: boolean | string | undefined, adapter: AdapterPolicy, bundles: ReadonlySet<string>): boolean {
  if (typeof asked === 'string') {
    if (bundles.has(asked)) return true
    const message = `there is no CA bundle "${asked}"; caBundles in the configuration lists those that may be named`
    throw new GatewayError('InvalidDescriptor', `verify: ${message}`, { detail: [{ pointer: '/verify', message }] })
  }
  if (asked === false && adapter.tls.verify && !adapter.tls.allowInsecure) {
    throw forbidden(
      'insecure-tls',
      `verify: false is not allowed under adapter "${adapter.name}"; tls.allowInsecure would allow it`,
    )
  }
  return asked === false ? false : adapter.tls.verify
}

/**
 * descriptor.auth, else the URL's userinfo, else the adapter's own, else none: then an Authorization header of the caller's
 * stands. That any of them replaces such a header is done, and said in warnings, by layers/credentials.ts.
 */
function chooseCredential({ adapter, descriptor, userinfo, originChanged }: HopAsk): CredentialChoice {
  const { auth } = descriptor
  if (auth === null) return NO_CREDENTIAL
  if (!originChanged && auth !== undefined) {
    return 'secret' in auth ? { kind: 'stored', name: auth.secret, from: 'descriptor' } : { kind: 'given', auth }
  }
  if (!originChanged && userinfo !== null) return { kind: 'given', auth: { type: 'basic', ...userinfo } }
  return adapter.credentials === null ? NO_CREDENTIAL : { kind: 'stored', name: adapter.credentials, from: 'adapter' }
}

function refuseUnsafe(ask: HopAsk, tls: HopPlan['tls'], credential: CredentialChoice): void {
  const { adapter, method } = ask
  const plaintext = isPlaintext(adapter)
  const cert = plaintext ? null : tls.cert
  if (credential.kind === 'none' && cert === null) return
  if (method === 'TRACE' && credential.kind !== 'none') {
    throw forbidden(
      'credential-exposure',
      `TRACE would echo the credential; send it with auth: null, or another method, to adapter "${adapter.name}"`,
    )
  }
  const stored = credential.kind === 'stored' ? `secret "${credential.name}"` : cert !== null ? `certificate "${cert}"` : null
  if (stored === null) return
  if (ask.originChanged && method !== 'GET' && method !== 'HEAD') {
    throw forbidden(
      'credential-exposure',
      `a redirect from another origin may not lead a ${method} to adapter "${adapter.name}", which has ${stored}; ` +
        'only GET and HEAD are followed there',
    )
  }
  if (plaintext && !adapter.allowPlaintextSecrets) {
    throw forbidden(
      'credential-exposure',
      `${stored} is not sent over plain http; use https, or set allowPlaintextSecrets on adapter "${adapter.name}"`,
    )
  }
  if (!plaintext && !tls.verify && !adapter.tls.allowInsecureSecrets) {
    throw forbidden(
      'credential-exposure',
      `${stored} is not sent to a server whose certificate is not verified; ` +
        `verify it, or set tls.allowInsecureSecrets on adapter "${adapter.name}"`,
    )
  }
}

/** The mount names the scheme, and only a URL of that scheme comes here. */
function isPlaintext(adapter: AdapterPolicy): boolean {
  return adapter.mount.startsWith('http:')
}

function forbidden(rule: RefusalRule, message: string): GatewayError {
  return new GatewayError('Forbidden', message, { rule })
}
