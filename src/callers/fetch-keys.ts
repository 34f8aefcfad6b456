// An issuer's keys fetched as a call of the gateway's own: down the ordinary pipeline, under the adapter that is mounted there,
// so that it is judged, limited and recorded like any other.
import { randomUUID } from 'node:crypto'
import { GatewayError } from '../errors/gateway-error.ts'
import { bodyText } from '../model/answer-body.ts'
import type { Caller } from '../model/caller.ts'
import { type Cancellation, createCancellation } from '../model/cancellation.ts'
import type { Gateway } from '../model/gateway-port.ts'
import type { KeyFetch } from './issuer-keys.ts'

/** Who asks for them. No configured caller can be called so, and none needs a grant for them. */
const KEY_CALLER: Caller = { name: '(callers)', admin: false, may: null }
/** Callers wait for it. */
const TOTAL_MS = 5000
/** Of the decoded document; a key has about a KiB. */
const ANSWER_LIMIT = 1024 * 1024

/** contract, "The response envelope", as far as this wants to know. */
interface Envelope {
  readonly status: number | null
  readonly base64?: string
  readonly error: { readonly type: string; readonly message: string } | null
}

/** `close` ends what is under way, and then nothing is fetched any more. */
export function createKeyFetch(gateway: Pick<Gateway, 'call'>): { readonly fetch: KeyFetch; close(): void } {
  const underWay = new Set<Cancellation>()
  let closed = false
  return {
    async fetch(uri) {
      if (closed) return { because: 'the gateway is shutting down' }
      const cancellation = createCancellation()
      underWay.add(cancellation)
      const { body } = await gateway.call({
        ...{ entrance: 'token', requestId: `keys-${randomUUID()}`, traceparent: null, timeLeftMs: null },
        ...{ caller: KEY_CALLER, body: Buffer.from(JSON.stringify(descriptorOf(uri))), cancellation },
      })
      underWay.delete(cancellation)
      return answerOf(JSON.parse(bodyText(body)))
    },
    close() {
      closed = true
      for (const cancellation of underWay) cancellation.cancel(new GatewayError('Draining', 'The gateway is shutting down.'))
    },
  }
}

/** No credential of the adapter's, which is not for this, and no redirect: the keys are those of this URL alone. */
function descriptorOf(url: string): object {
  return {
    url,
    headers: { Accept: 'application/jwk-set+json, application/json' },
    ...{ auth: null, allowRedirects: false, decode: 'base64', timeout: { total: TOTAL_MS }, maxResponseSize: ANSWER_LIMIT },
  }
}

function answerOf({ status, base64, error }: Envelope): Awaited<ReturnType<KeyFetch>> {
  if (error !== null) return { because: `${error.type}: ${error.message}` }
  return status === 200 ? { body: Buffer.from(base64 ?? '', 'base64') } : { because: `the answer was ${status}` }
}
