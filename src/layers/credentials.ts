// Secrets exist only below this line: finds the credential that the plan names, has it obtained where it must be, puts it into
// the request, answers a challenge, and writes down the masked view of what goes out. Which credential it is was decided in
// policy/; how it is put in, in credentials/.
import { GatewayError, type PartialResponse, withResponse } from '../errors/gateway-error.ts'
import type { CallContext } from '../model/call-context.ts'
import {
  type CredentialScheme,
  type Dialogue,
  type Injection,
  NO_INJECTION,
  type OpenCredential,
  type OpenPool,
  type TokenPorts,
} from '../model/credential-scheme.ts'
import type { Dispatch, Layer } from '../model/dispatch.ts'
import { getHeader, type HeaderList, setHeader, withoutHeader } from '../model/header-list.ts'
import type { CredentialChoice, HopRequest } from '../model/hop.ts'
import { inOnePiece } from '../model/one-piece.ts'
import { maskedView, withQueryPair } from '../model/outgoing-view.ts'
import type { Secret, SecretScheme, SecretUse, SecretVersions } from '../model/ports.ts'
import { secretDetector } from '../model/secret-traces.ts'
import { headerValues, type UpstreamResponse } from '../model/upstream-response.ts'
import { unlessCancelled } from '../model/wait.ts'

export interface CredentialPorts {
  readonly secrets: SecretVersions
  readonly schemes: Readonly<Record<SecretScheme, CredentialScheme>>
  /** For credentials that must be obtained first. */
  readonly tokens: TokenPorts
  readonly openPool: OpenPool
}

type StoredChoice = Extract<CredentialChoice, { kind: 'stored' }>
type GivenAuth = Extract<CredentialChoice, { kind: 'given' }>['auth']

/** `secret` null: it came with the descriptor. */
interface Held {
  readonly credential: OpenCredential
  readonly secret: Secret | null
  /** As the trail tells it. */
  readonly name: string | null
}

export function credentials({ secrets, schemes, tokens, openPool }: CredentialPorts): Layer {
  const { clock } = tokens
  // Keyed by identity: a new version is a new object, and what nobody holds any more is forgotten by itself.
  const opened = new WeakMap<Secret | GivenAuth, Held>()
  const open = <K extends Secret | GivenAuth>(key: K, make: (key: K) => Held): Held => {
    const known = opened.get(key)
    if (known) return known
    const fresh = make(key)
    opened.set(key, fresh)
    return fresh
  }
  const makeStored = (secret: Secret): Held => {
    const { scheme, values, pool } = secret
    const openOne = (one: typeof values): OpenCredential => schemes[scheme].open(one)
    const members = pool?.members.map(openOne)
    const credential = members ? openPool(secret, members) : openOne(values)
    return { credential, secret, name: nameOf(secret, null) }
  }
  const makeGiven = (auth: GivenAuth): Held => ({ credential: schemes[auth.type].open(auth), secret: null, name: null })
  const openStored = (secret: Secret, request: HopRequest, context: CallContext): Held => {
    if (schemes[secret.scheme].place !== 'request') throw wrongPlace(secret, request)
    refuseMisplaced(secret, request)
    context.trail.credential = opened.get(secret)?.name ?? nameOf(secret, null)
    return open(secret, makeStored)
  }
  const find = (choice: StoredChoice, request: HopRequest, context: CallContext): Secret | Promise<Secret> => {
    refuseUnsafe(choice, request)
    return secrets.find(choice.name, useOf(request, context))
  }
  const obtain = ({ credential, secret }: Held, request: HopRequest, context: CallContext): Promise<void> | null => {
    if (!credential.obtain || secret === null) return null
    const { requestId, cancellation, trail } = context
    const { name, version } = secret
    const shared = credential.obtain({ credential: name, version, member: null, requestId, ports: tokens }, request)
    if (!shared) return null
    const from = clock.now()
    return unlessCancelled(shared, cancellation).finally(() => trail.waited(clock.now() - from, 'renewed credential'))
  }

  const inject = ({ credential, secret }: Held, request: HopRequest, context: CallContext): Injection => {
    const injection = credential.inject(request)
    if (injection.member !== undefined && secret !== null) context.trail.credential = nameOf(secret, injection.member)
    watchBodies(request, { injection, secret }, context)
    return injection
  }

  /** Obtained where it must be, then injected and sent; once for each time that the request goes out. */
  const sendWith = async (held: Held, request: HopRequest, next: Dispatch, context: CallContext): Promise<UpstreamResponse> => {
    const { credential } = held
    const obtained = obtain(held, request, context)
    if (obtained) await obtained
    const injection = inject(held, request, context)
    try {
      const response = await cleaned(send(request, injection, next, context), credential, request)
      return response.status === 429 && injection.member !== undefined ? { ...response, keyOfPool: true } : response
    } catch (error) {
      credential.dialogue?.failed?.(request)
      throw error
    }
  }

  const attach = (held: Held, bare: HopRequest, next: Dispatch, context: CallContext): Promise<UpstreamResponse> => {
    const { credential } = held
    const { dialogue } = credential
    if (dialogue) return converse(dialogue, bare, context, (again) => sendWith(held, again, next, context))
    if (credential.obtain) return sendWith(held, bare, next, context)
    // At hand, and nothing follows from any answer: no promise of its own.
    return cleaned(send(bare, inject(held, bare, context), next, context), credential, bare)
  }

  /** security.md, "Rotation": `refused` by a 401 within an overlap, the other version gets one try, where a repeat is safe. */
  const attachOther = async (
    { refused, response }: { readonly refused: Secret; readonly response: UpstreamResponse },
    bare: HopRequest,
    next: Dispatch,
    context: CallContext,
  ): Promise<UpstreamResponse> => {
    const use = useOf(bare, context)
    const other = bare.plan.repeatable ? secrets.other(refused, use) : null
    if (other === null) return response
    context.cancellation.throwIfCancelled()
    const held = openStored(other, bare, context)
    context.trail.waited(0, 'renewed credential')
    const second = await attach(held, takeCookies(bare, response.rawHeaders, context), next, context)
    if (second.status !== 401) secrets.prefer(other, use)
    return second
  }

  const attachStored = (secret: Secret, request: HopRequest, next: Dispatch, context: CallContext): Promise<UpstreamResponse> => {
    const held = openStored(secret, request, context)
    const bare = withoutCallersOwn(request, context)
    return attach(held, bare, next, context).then((response) =>
      response.status === 401 ? attachOther({ refused: secret, response }, bare, next, context) : response,
    )
  }

  const sendAttached = (next: Dispatch, request: HopRequest, context: CallContext): Promise<UpstreamResponse> => {
    const choice = request.plan.credential
    if (choice.kind === 'none') {
      context.trail.outgoing = maskedView(request)
      context.trail.bodyRules = request.plan.adapter.audit
      return next(request, context)
    }
    if (choice.kind === 'given') return attach(open(choice.auth, makeGiven), withoutCallersOwn(request, context), next, context)
    // Not awaited unless it must be: a secret that is in memory costs no turn of the event loop.
    const found = find(choice, request, context)
    if (!(found instanceof Promise)) return attachStored(found, request, next, context)
    return unlessCancelled(found, context.cancellation).then((secret) => attachStored(secret, request, next, context))
  }

  return (next) => (request, context) => {
    try {
      return sendAttached(next, request, context)
    } catch (refusal) {
      return Promise.reject(refusal)
    }
  }
}

/** As the trail tells it; `member`: of a pool. */
const nameOf = ({ name, version }: Secret, member: number | null): string =>
  member === null ? inOnePiece(name, '@', String(version)) : inOnePiece(name, '@', `${version}#${member}`)

const useOf = (request: HopRequest, context: CallContext): SecretUse => ({
  origin: request.url.origin,
  caller: context.caller.name,
})

/** Bodies that are recorded must not hold what was attached on the way to them, on this hop or an earlier one. */
function watchBodies(
  { plan }: HopRequest,
  { injection, secret }: { readonly injection: Injection; readonly secret: Secret | null },
  { trail }: CallContext,
): void {
  const { audit } = plan.adapter
  trail.bodyRules = audit
  if (!audit.bodies.request && !audit.bodies.response) return
  const before = trail.holdsSecret
  const sent = [...injection.headers.map(({ value }) => value), injection.query?.value ?? '']
  const parts = sent.flatMap((value) => [value, value.slice(value.indexOf(' ') + 1)])
  const stored =
    secret === null ? [] : [secret.values, ...(secret.pool?.members ?? [])].flatMap((values) => Object.values(values))
  const now = secretDetector([...parts, ...stored])
  trail.holdsSecret = before === null ? now : (text) => before(text) || now(text)
}

function send(request: HopRequest, injection: Injection, next: Dispatch, context: CallContext): Promise<UpstreamResponse> {
  const attached = injection === NO_INJECTION ? request : withInjection(request, injection)
  const view = maskedView(attached, injection)
  context.trail.outgoing = view
  if (attached.shownPath !== undefined) context.trail.url = view.url
  return next(attached, context)
}

/** The answer, or the head of it that a failure shows, without the credential where its URLs repeat it. */
function cleaned(
  sent: Promise<UpstreamResponse>,
  { cleanHeaders }: OpenCredential,
  request: HopRequest,
): Promise<UpstreamResponse> {
  if (cleanHeaders === undefined) return sent
  const clean = <H extends PartialResponse>(head: H): H => ({ ...head, rawHeaders: cleanHeaders(head.rawHeaders, request) })
  return sent.then(clean, (error: unknown) => {
    throw error instanceof GatewayError && error.response ? withResponse(error, clean(error.response)) : error
  })
}

/** The cookies of each answer that has a sequel go out with it, as in Requests. */
async function converse(
  dialogue: Dialogue,
  first: HopRequest,
  context: CallContext,
  sendOnce: (request: HopRequest) => Promise<UpstreamResponse>,
): Promise<UpstreamResponse> {
  let request = first
  for (let answered = 0; ; answered++) {
    const response = await sendOnce(request)
    const sequel = dialogue.heard(request, response, answered)
    if (sequel === null) return response
    context.cancellation.throwIfCancelled()
    const { status, reason, rawHeaders, elapsed } = response
    if (sequel === 'challenge')
      context.trail.history.push({ method: request.method, status, reason, url: request.url.href, rawHeaders, elapsed })
    request = takeCookies(request, rawHeaders, context)
    context.trail.waited(0, 'renewed credential')
  }
}

function withInjection(request: HopRequest, injection: Injection): HopRequest {
  let headers = request.headers
  for (const { name, value } of injection.headers)
    headers = getHeader(headers, name) === undefined ? [...headers, [name, value]] : setHeader(headers, name, value)
  const { query, rewritten } = injection
  if (rewritten) {
    const { url, body, shown } = rewritten
    return { ...request, headers, url, body, ...(shown.url.path === url.path ? {} : { shownPath: shown.url.path }) }
  }
  return query ? { ...request, headers, url: withQueryPair(request.url, query.name, query.value) } : { ...request, headers }
}

/** contract: any credential beats the caller's Authorization header, which then gives a warning. */
function withoutCallersOwn(request: HopRequest, context: CallContext): HopRequest {
  if (getHeader(request.headers, 'authorization') === undefined) return request
  context.trail.warn('the Authorization header was not sent: the credential of this request takes its place')
  return { ...request, headers: withoutHeader(request.headers, 'authorization') }
}

/** The cookies that the answer set, in the jar and in the request that follows it on the same hop. */
function takeCookies(request: HopRequest, rawHeaders: readonly string[], context: CallContext): HopRequest {
  const setCookies = headerValues(rawHeaders, 'set-cookie')
  if (setCookies.length === 0) return request
  const touched = new Set<string>()
  for (const [name, value] of context.jar.store(request.url, setCookies)) {
    touched.add(name)
    context.trail.setCookie(name, value)
  }
  const kept = cookiePairs(getHeader(request.headers, 'cookie')).filter((pair) => !touched.has(cookieName(pair)))
  const fresh = cookiePairs(context.jar.header(request.url) ?? undefined).filter((pair) => touched.has(cookieName(pair)))
  const cookies = [...kept, ...fresh]
  const headers: HeaderList =
    cookies.length === 0 ? withoutHeader(request.headers, 'cookie') : setHeader(request.headers, 'Cookie', cookies.join('; '))
  return { ...request, headers }
}

const cookiePairs = (header: string | undefined): string[] => (header ? header.split(';').map((pair) => pair.trim()) : [])

const cookieName = (pair: string): string => (pair.split('=')[0] ?? '').trim()

/** A stored secret does not leave where others could read it, unless the adapter says so (security.md's table). */
function refuseUnsafe(choice: StoredChoice, { method, url, plan }: HopRequest): void {
  const { adapter } = plan
  if (method === 'TRACE')
    throw new GatewayError('Forbidden', `TRACE would echo secret "${choice.name}"; use another method, or send no credential`, {
      rule: 'credential-exposure',
    })
  if (url.scheme === 'http' && !adapter.allowPlaintextSecrets)
    throw new GatewayError(
      'Forbidden',
      `secret "${choice.name}" is not sent in plain text to ${url.origin}; use https, or set allowPlaintextSecrets for adapter "${adapter.name}"`,
      { rule: 'credential-exposure' },
    )
  if (!plan.tls.verify && !adapter.tls.allowInsecureSecrets)
    throw new GatewayError(
      'Forbidden',
      `secret "${choice.name}" is not sent to ${url.origin} while its certificate is not verified; verify it, or set tls.allowInsecureSecrets for adapter "${adapter.name}"`,
      { rule: 'credential-exposure' },
    )
}

/** An adapter that says where values go means a secret that leaves that to it. */
function refuseMisplaced({ name, scheme }: Secret, { plan: { adapter } }: HopRequest): void {
  if (adapter.placement === null || adapter.credentials !== name || scheme === 'placeholder') return
  throw new GatewayError(
    'UnknownCredential',
    `secret "${name}" is of scheme ${scheme}, which knows itself where its values go; name it alone in the credentials of adapter "${adapter.name}"`,
  )
}

function wrongPlace(secret: Secret, request: HopRequest): GatewayError {
  const use = secret.scheme === 'mtls' ? 'name it under tls.cert or `cert`' : 'name it under proxy.credentials'
  return new GatewayError(
    'UnknownCredential',
    `secret "${secret.name}" is of scheme ${secret.scheme} and cannot be attached to a request for ${request.url.origin}; ${use}`,
  )
}
