// A token request as a call of the gateway's own: down the ordinary pipeline, under the adapter that is mounted on the token
// URL, so that it is judged, limited and recorded like any other. What must hold because it carries a secret is checked here.
import { GatewayError, type Sent } from '../errors/gateway-error.ts'
import type { AdapterPolicy } from '../model/adapter-policy.ts'
import { bodyText } from '../model/answer-body.ts'
import type { Caller } from '../model/caller.ts'
import { type Cancellation, createCancellation } from '../model/cancellation.ts'
import type { Errand, TokenAnswer, TokenExchange, TokenRequest } from '../model/credential-scheme.ts'
import type { Gateway } from '../model/gateway-port.ts'
import type { Clock } from '../model/ports.ts'

/** The adapter mounted on that URL; null: none, or it is no URL. */
export type MountedOn = (url: string) => AdapterPolicy | null

export interface TokenExchangePorts {
  readonly gateway: Pick<Gateway, 'call'>
  readonly mountedOn: MountedOn
  readonly clock: Pick<Clock, 'after'>
}

/** Who asks for tokens. No configured caller can be called so, and none needs a grant for a token URL. */
const TOKEN_CALLER: Caller = { name: '(credentials)', admin: false, may: null }

/** How long a shutdown waits for answers that cannot be asked for again, ms. */
const LAST_ANSWERS_MS = 5000

/** Of the decoded answer, bytes; a token has a few KiB. */
const ANSWER_LIMIT = 65_536

interface UnderWay {
  readonly cancellation: Cancellation
  readonly once: boolean
}

/** `close` ends what is under way, but for requests that go out `once`: those it waits for, for a while. Then nothing is asked any more. */
export function createTokenExchange({ gateway, mountedOn, clock }: TokenExchangePorts): {
  readonly exchange: TokenExchange
  close(): Promise<void>
} {
  const underWay = new Map<Promise<TokenAnswer>, UnderWay>()
  let closed = false
  const ask = async (
    request: TokenRequest,
    on: Parameters<TokenExchange>[1],
    cancellation: Cancellation,
  ): Promise<TokenAnswer> => {
    const { body } = await gateway.call({
      entrance: 'token',
      requestId: `${on.requestId}-token`,
      traceparent: null,
      timeLeftMs: null,
      caller: TOKEN_CALLER,
      body: Buffer.from(JSON.stringify(descriptorOf(request, on.credential))),
      cancellation,
    })
    return answerOf(JSON.parse(bodyText(body)))
  }
  const cancelAll = (which: (request: UnderWay) => boolean): void => {
    const draining = new GatewayError('Draining', 'The gateway is shutting down.')
    for (const request of underWay.values()) if (which(request)) request.cancellation.cancel(draining)
  }
  return {
    async exchange(request, on) {
      const refusal = closed ? notAsked('the gateway is shutting down') : refuseUnsafe(request.url, mountedOn)
      if (refusal) return refusal
      // Its end is the adapter's total clock: the call that it was begun for may hang up while others wait for it.
      const cancellation = createCancellation()
      const answer = ask(request, on, cancellation)
      underWay.set(answer, { cancellation, once: request.once === true })
      return answer.finally(() => underWay.delete(answer))
    },
    async close() {
      closed = true
      cancelAll(({ once }) => !once)
      const stopTimer = clock.after(LAST_ANSWERS_MS, () => cancelAll(() => true))
      await Promise.allSettled(underWay.keys())
      stopTimer()
    },
  }
}

/** For calls that are explained and not sent: the same refusals, and a token that is none and ends at once. */
export function rehearseTokenExchange(mountedOn: MountedOn): TokenExchange {
  const body = Buffer.from(JSON.stringify({ access_token: 'not-asked-for', expires_in: 0 }))
  return async ({ url }) => refuseUnsafe(url, mountedOn) ?? { kind: 'answer', status: 200, body }
}

/** The same rules as for any stored secret; null: it may be sent there. */
function refuseUnsafe(url: string, mountedOn: MountedOn): TokenAnswer | null {
  const because = doubtAbout(mountedOn(url))
  return because === null ? null : notAsked(because, URL.canParse(url) ? new URL(url).origin : '')
}

function notAsked(because: string, privateDetail = ''): TokenAnswer {
  return { kind: 'none', because, privateDetail, sent: 'no' }
}

function doubtAbout(adapter: AdapterPolicy | null): string | null {
  if (adapter === null) return 'no adapter is mounted on its token URL'
  if (adapter.mount.startsWith('http:'))
    return adapter.allowPlaintextSecrets
      ? null
      : `its token URL is plain http; use https, or set allowPlaintextSecrets on adapter "${adapter.name}"`
  return adapter.tls.verify || adapter.tls.allowInsecureSecrets
    ? null
    : `the certificate of its token URL is not verified; verify it, or set tls.allowInsecureSecrets on adapter "${adapter.name}"`
}

/** No credential of the adapter's, or it might be this very one; no redirect, which would carry the secret elsewhere. */
function descriptorOf({ url, form, basic, once }: TokenRequest, secret: Errand['credential']): object {
  return {
    url,
    method: 'POST',
    headers: { Accept: 'application/json' },
    data: form,
    auth: basic === null ? null : { type: 'basic', ...basic },
    ...{ allowRedirects: false, decode: 'base64', maxResponseSize: ANSWER_LIMIT, tags: { secret } },
    // Not even a method list that the adapter widened, nor a pooled connection that died, makes it go out again.
    ...(once ? { maxRetries: { total: 0, allowedMethods: [] } } : {}),
  }
}

/** contract, "The response envelope", as far as a token request wants to know. */
interface Envelope {
  readonly status: number | null
  readonly base64?: string
  readonly error: { readonly type: string; readonly message: string; readonly sent: Sent } | null
}

function answerOf({ status, base64, error }: Envelope): TokenAnswer {
  if (error !== null || status === null)
    return {
      kind: 'none',
      because: `its token endpoint could not be asked (${error?.type ?? 'no answer'})`,
      privateDetail: error?.message ?? '',
      sent: error?.sent ?? 'maybe',
    }
  return { kind: 'answer', status, body: Buffer.from(base64 ?? '', 'base64') }
}
