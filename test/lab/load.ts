// An open-loop caller: so many calls a second, whatever becomes of them, each with a name of its own. What came of each is kept.
import { Agent, request } from 'node:http'
import { KEY } from '../bench/servers.ts'

export interface Call {
  readonly name: string
  /**
   * get: may be repeated; post: never; keyed: a POST under an idempotency key, which the caller repeats until it is acknowledged,
   * and then once more: a forgetful caller, who must get the same outcome again.
   */
  readonly kind: 'get' | 'post' | 'keyed'
  readonly issuedAt: number
  endedAt: number
  /** `ok`, `5xx` and the like of the upstream, an error type, or `unanswered` and why. */
  outcome: string
  /** The caller was told that nothing was sent. */
  saidUnsent: boolean
  /** The caller was told that the upstream carried it out. */
  acknowledged: boolean
  /** keyed: how often the upstream had seen it when it was acknowledged. */
  seenWhenAcknowledged: number | null
}

export interface Load {
  readonly calls: readonly Call[]
  /** Stops issuing; resolves when every call has its end. */
  stop(): Promise<void>
}

const TICK_MS = 10
/** A caller that waits longer than this for any answer counts it as lost; the gateway's own clocks are far shorter. */
const PATIENCE_MS = 15_000
/** How often a caller comes back with its idempotency key. */
const MOST_REPEATS = 8

interface LoadOptions {
  readonly gateway: string
  readonly upstream: string
  readonly perSecond: number
  /** How often the upstream has seen the call of that name. */
  readonly times: (name: string) => number
}

export function startLoad(options: LoadOptions): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: 1000 })
  const calls: Call[] = []
  const underWay = new Set<Promise<void>>()
  const startedAt = performance.now()
  let issued = 0
  const issue = (): void => {
    const kind = (['get', 'get', 'get', 'post', 'keyed'] as const)[issued % 5] ?? 'get'
    const call: Call = {
      name: `${Math.round(startedAt)}-${issued++}`,
      kind,
      issuedAt: performance.now(),
      endedAt: 0,
      outcome: '',
      saidUnsent: false,
      acknowledged: false,
      seenWhenAcknowledged: null,
    }
    calls.push(call)
    const done = carryOut(call, options, agent).then(() => {
      underWay.delete(done)
    })
    underWay.add(done)
  }
  const timer = setInterval(() => {
    const due = ((performance.now() - startedAt) / 1000) * options.perSecond
    while (issued < due) issue()
  }, TICK_MS)
  return {
    calls,
    async stop() {
      clearInterval(timer)
      await Promise.all(underWay)
      agent.destroy()
    },
  }
}

async function carryOut(call: Call, at: LoadOptions, agent: Agent): Promise<void> {
  const url = `${at.upstream}/?name=${call.name}`
  const descriptor =
    call.kind === 'get'
      ? { url }
      : { url, method: 'POST', json: { call: call.name }, ...(call.kind === 'keyed' ? { idempotencyKey: call.name } : {}) }
  for (let repeats = 0; ; repeats++) {
    const answer = await post(`${at.gateway}/v1/requests`, JSON.stringify(descriptor), agent)
    call.outcome = outcomeOf(answer)
    const envelope = typeof answer === 'string' ? null : answer
    call.acknowledged = envelope?.ok === true
    call.saidUnsent = envelope?.error?.sent === 'no'
    const again = call.kind === 'keyed' && !call.acknowledged && envelope?.error?.retryable === true && repeats < MOST_REPEATS
    if (!again) break
    await new Promise((resolve) => setTimeout(resolve, Math.min(envelope.error?.retryAfter ?? 200, 1000)))
  }
  call.endedAt = performance.now()
  if (call.kind !== 'keyed' || !call.acknowledged) return
  call.seenWhenAcknowledged = at.times(call.name)
  await post(`${at.gateway}/v1/requests`, JSON.stringify(descriptor), agent)
}

interface Envelope {
  readonly ok: boolean
  readonly status: number | null
  readonly error: {
    readonly type: string
    readonly sent: string
    readonly retryable: boolean
    readonly retryAfter?: number
  } | null
}

function outcomeOf(envelope: Envelope | string): string {
  if (typeof envelope === 'string') return `unanswered: ${envelope}`
  if (envelope.error) return envelope.error.type
  return envelope.ok ? 'ok' : `${Math.floor((envelope.status ?? 0) / 100)}xx`
}

/** A text where no answer came: why. */
function post(url: string, body: string, agent: Agent): Promise<Envelope | string> {
  return new Promise((resolve) => {
    const headers = { 'content-type': 'application/json', 'x-sallyport-key': KEY, 'content-length': Buffer.byteLength(body) }
    const sent = request(url, { method: 'POST', agent, headers }, (response) => {
      const pieces: Buffer[] = []
      response
        .on('data', (piece: Buffer) => pieces.push(piece))
        .on('end', () => resolve(parse(Buffer.concat(pieces).toString())))
        .on('error', () => resolve('broken off'))
    })
    sent
      .setTimeout(PATIENCE_MS, () => sent.destroy(new Error('nothing came')))
      .on('error', ({ code, message }: NodeJS.ErrnoException) =>
        resolve(`${code ?? message}${sent.reusedSocket ? ' on a kept connection' : ''}`),
      )
      .end(body)
  })
}

function parse(text: string): Envelope | string {
  try {
    return JSON.parse(text) as Envelope
  } catch {
    return 'no envelope'
  }
}
