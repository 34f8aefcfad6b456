import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError, type Sent } from '../../../src/errors/gateway-error.ts'
import { idempotency } from '../../../src/layers/idempotency.ts'
import type { AdapterPolicy } from '../../../src/model/adapter-policy.ts'
import type { Descriptor } from '../../../src/model/descriptor.ts'
import type { Attempt } from '../../../src/model/envelope.ts'
import type { HopRequest } from '../../../src/model/hop.ts'
import type { IdempotencyClaim, IdempotencyStore } from '../../../src/model/ports.ts'
import type { UpstreamResponse } from '../../../src/model/upstream-response.ts'
import { aContext, aDescriptor, anAdapter, aPlan, aRequest, aResponse, aUrl } from '../../support/builders.ts'
import { createFakeClock, type FakeClock } from '../../support/fake-clock.ts'
import { held, type ScriptLine, scripted, watch } from '../../support/scripted-dispatch.ts'

const GOOD = aResponse({ status: 201, body: Buffer.from('made') })
const SILENT = new GatewayError('ReadTimeout', 'silent', { sent: 'maybe' })
const REFUSED = new GatewayError('ConnectionError', 'refused', { sent: 'no' })

interface MemoryStore extends IdempotencyStore {
  readonly rows: Map<string, { fingerprint: string; outcome: string | null; lost?: boolean }>
  readonly claims: string[]
  away: boolean
}

/** As the port describes it, without leases: a row without an outcome is under way elsewhere unless it is marked lost. */
function createStore(): MemoryStore {
  const rows: MemoryStore['rows'] = new Map()
  const store: MemoryStore = {
    rows,
    claims: [],
    away: false,
    async claim(key, fingerprint): Promise<IdempotencyClaim> {
      store.claims.push(key)
      if (store.away) throw new GatewayError('Overloaded', 'the store is away')
      const row = rows.get(key)
      if (row && row.fingerprint !== fingerprint) return { state: 'conflict' }
      if (row) return row.outcome !== null ? { state: 'done', outcome: row.outcome } : { state: row.lost ? 'lost' : 'running' }
      rows.set(key, { fingerprint, outcome: null })
      return {
        state: 'mine',
        async complete(outcome) {
          if (store.away) throw new GatewayError('Overloaded', 'the store is away')
          rows.set(key, { fingerprint, outcome })
        },
        async release() {
          rows.delete(key)
        },
      }
    },
  }
  return store
}

interface Wish {
  readonly key?: string | null
  readonly caller?: string
  readonly request?: Partial<HopRequest>
  readonly descriptor?: Partial<Descriptor>
  readonly adapter?: Partial<AdapterPolicy>
  readonly deadline?: number
}

interface House {
  readonly clock: FakeClock
  readonly store: MemoryStore
  readonly local: MemoryStore
  call(
    line: ScriptLine,
    wish?: Wish,
  ): {
    context: ReturnType<typeof aContext>
    asked: readonly HopRequest[]
    result: { value?: UpstreamResponse; error?: unknown; done: boolean }
  }
}

function build(clock = createFakeClock(), store = createStore()): House {
  const local = createStore()
  const layer = idempotency({ store, local, clock, random: () => 1 })
  return {
    clock,
    store,
    local,
    call(line, { key = 'k-1', caller = 'billing', request, descriptor, adapter, deadline = 30_000 } = {}) {
      const context = aContext({
        caller: { name: caller, admin: false, may: null },
        descriptor: aDescriptor({ method: 'POST', ...descriptor, ...(key === null ? {} : { idempotencyKey: key }) }),
        deadline,
      })
      const upstream = scripted(line)
      const hop = aRequest({ method: 'POST', body: Buffer.from('a'), plan: aPlan({ adapter: anAdapter(adapter) }), ...request })
      const seen = layer((asked, under) => {
        under.trail.url = 'https://api.example.com/made'
        return upstream.dispatch(asked, under)
      })
      return { context, asked: upstream.asked, result: watch(seen(hop, context)) }
    },
  }
}

function anAttempt(sent: Sent): Attempt {
  const attempt = { hop: 0, method: 'POST', url: '', adapter: 'a', origin: '', address: null, reused: false, waited: 0 }
  return { ...attempt, because: null, sent, connect: null, firstByte: null, elapsed: 1, begun: 0, span: null }
}

const typeOf = (result: { error?: unknown }): string | undefined => (result.error as GatewayError | undefined)?.type

test('a call without a key passes straight through', async () => {
  const { clock, store, call } = build()
  const { result } = call(GOOD, { key: null })
  await clock.advance(0)
  assert.equal(result.value, GOOD)
  assert.deepEqual(store.claims, [])
})

test('the first call is carried out, and the second gets its outcome without an attempt', async () => {
  const { clock, call } = build()
  const first = call(GOOD)
  await clock.advance(0)
  const second = call(SILENT)
  await clock.advance(0)
  assert.equal(first.result.value, GOOD)
  assert.deepEqual(second.result.value, GOOD)
  assert.deepEqual([first.context.trail.replayed, second.context.trail.replayed], [false, true])
  assert.deepEqual([second.asked.length, second.context.trail.url], [0, 'https://api.example.com/made'])
})

test('a failure after sending is an outcome too, and is given again', async () => {
  const { clock, call } = build()
  const first = call(SILENT)
  await clock.advance(0)
  const second = call(GOOD)
  await clock.advance(0)
  assert.equal(first.result.error, SILENT)
  const error = second.result.error as GatewayError
  assert.deepEqual([error.type, error.message, error.sent, second.asked.length], ['ReadTimeout', 'silent', 'maybe', 0])
})

test('a failure before anything was sent is not remembered', async () => {
  const { clock, call, store } = build()
  const first = call(REFUSED)
  await clock.advance(0)
  assert.deepEqual([first.result.error, store.rows.size], [REFUSED, 0])
  const second = call(GOOD)
  await clock.advance(0)
  assert.deepEqual([second.result.value, second.context.trail.replayed], [GOOD, false])
})

test('a last try that was not sent does not hide an earlier one that may have been', async () => {
  const { clock, call } = build()
  const first = call(async (_, { trail }) => {
    trail.begin(anAttempt('maybe'))
    throw REFUSED
  })
  await clock.advance(0)
  assert.equal(first.result.error, REFUSED)
  const second = call(GOOD)
  await clock.advance(0)
  assert.deepEqual([(second.result.error as GatewayError).sent, second.asked.length], ['maybe', 0])
})

const OTHERS: readonly [name: string, wish: Wish][] = [
  ['another method', { request: { method: 'PUT' } }],
  ['another URL', { request: { url: aUrl('https://api.example.com/other') } }],
  ['another body', { request: { body: Buffer.from('b') } }],
  ['no body', { request: { body: null } }],
  ['another adapter', { adapter: { name: 'other' } }],
]
for (const [name, wish] of OTHERS) {
  test(`the key with ${name} is a conflict, before and after the first call's end`, async () => {
    const { clock, call } = build()
    const upstream = held()
    call(upstream.line)
    const during = call(GOOD, wish)
    await clock.advance(0)
    upstream.answer(GOOD)
    await clock.advance(0)
    const after = call(GOOD, wish)
    await clock.advance(0)
    assert.deepEqual([typeOf(during.result), typeOf(after.result)], ['IdempotencyConflict', 'IdempotencyConflict'])
    assert.deepEqual([during.asked.length, after.asked.length], [0, 0])
  })
}

test('the same key of another caller is another key', async () => {
  const { clock, call } = build()
  call(GOOD)
  const other = call(aResponse({ status: 202 }), { caller: 'shipping', request: { body: Buffer.from('b') } })
  await clock.advance(0)
  assert.equal(other.result.value?.status, 202)
})

test('a fragment makes no other request', async () => {
  const { clock, call } = build()
  call(GOOD)
  await clock.advance(0)
  const second = call(SILENT, { request: { url: aUrl('https://api.example.com/#part') } })
  await clock.advance(0)
  assert.equal(second.context.trail.replayed, true)
})

test('a multipart body is the same if its parts are, whatever the boundary', async () => {
  const multipart = (text: string): Partial<Descriptor> => ({
    body: {
      kind: 'multipart',
      fields: [['a', '1']],
      files: [{ name: 'f', content: Buffer.from(text), filename: 'f.txt', contentType: 'text/plain', headers: [['X', 'y']] }],
    },
  })
  const { clock, call } = build()
  call(GOOD, { descriptor: multipart('one'), request: { body: Buffer.from('--boundary-1') } })
  await clock.advance(0)
  const same = call(SILENT, { descriptor: multipart('one'), request: { body: Buffer.from('--boundary-2') } })
  const other = call(SILENT, { descriptor: multipart('two'), request: { body: Buffer.from('--boundary-1') } })
  await clock.advance(0)
  assert.deepEqual([same.context.trail.replayed, typeOf(other.result)], [true, 'IdempotencyConflict'])
})

test('two in flight share one call', async () => {
  const { clock, call } = build()
  const upstream = held()
  const first = call(upstream.line)
  const second = call(SILENT)
  await clock.advance(10)
  upstream.answer(GOOD)
  await clock.advance(0)
  assert.deepEqual([first.result.value, second.result.value], [GOOD, GOOD])
  assert.deepEqual([first.asked.length, second.asked.length, second.context.trail.replayed], [1, 0, true])
})

test('the shared call goes on while anybody waits for it, and what the first left behind is remembered', async () => {
  const { clock, call } = build()
  const upstream = held()
  const first = call(upstream.line)
  const second = call(SILENT)
  await clock.advance(10)
  first.context.cancellation.cancel(new GatewayError('Cancelled', 'gone'))
  await clock.advance(10)
  assert.deepEqual([typeOf(first.result), (first.result.error as GatewayError).sent], ['Cancelled', 'maybe'])
  assert.equal(second.result.done, false)
  upstream.answer(GOOD)
  await clock.advance(0)
  assert.deepEqual([second.result.value, clock.pending], [GOOD, 0])
})

test('when all have hung up the call is cancelled, and its outcome is unknown to whoever asks later', async () => {
  const { clock, call } = build()
  const sent: ScriptLine = (_, { cancellation }) =>
    new Promise((_resolve, reject) => {
      cancellation.onCancel((reason) => reject(new GatewayError(reason.type, reason.message, { sent: 'maybe' })))
    })
  const first = call(sent)
  const second = call(sent)
  await clock.advance(10)
  for (const { context } of [first, second]) context.cancellation.cancel(new GatewayError('Cancelled', 'gone'))
  await clock.advance(0)
  assert.deepEqual([typeOf(first.result), typeOf(second.result)], ['Cancelled', 'Cancelled'])
  const third = call(GOOD)
  await clock.advance(0)
  assert.deepEqual([typeOf(third.result), third.asked.length], ['OutcomeUnknown', 0])
})

test('one who hangs up before anything was sent leaves nothing behind', async () => {
  const { clock, call, store } = build()
  const first = call(held().line)
  await clock.advance(0)
  first.context.cancellation.cancel(new GatewayError('Cancelled', 'gone', { sent: 'no' }))
  await clock.advance(0)
  assert.deepEqual([typeOf(first.result), store.rows.size], ['Cancelled', 0])
})

test('one who hangs up while the key is being claimed is not sent at all', async () => {
  const { clock, call, store } = build()
  const claim = store.claim
  store.claim = async (...asked) => {
    await new Promise<void>((resolve) => clock.after(100, resolve))
    return claim(...asked)
  }
  const { context, asked } = call(GOOD)
  await clock.advance(50)
  context.cancellation.cancel(new GatewayError('Cancelled', 'gone'))
  await clock.advance(50)
  assert.deepEqual([asked.length, store.rows.size], [0, 0])
})

test('one who comes while everybody has hung up does not share their cancellation', async () => {
  const { clock, call } = build()
  const first = call(held().line)
  await clock.advance(0)
  first.context.cancellation.cancel(new GatewayError('Cancelled', 'gone'))
  const second = call(GOOD)
  await clock.advance(0)
  assert.equal(second.result.value, GOOD)
})

test("the first call's total clock ends the shared call for all", async () => {
  const { clock, call } = build()
  const first = call(held().line, { deadline: 1000 })
  const second = call(SILENT)
  await clock.advance(1000)
  first.context.cancellation.cancel(new GatewayError('Timeout', 'total ran out', { sent: 'maybe' }))
  await clock.advance(0)
  assert.deepEqual([typeOf(first.result), typeOf(second.result)], ['Timeout', 'Timeout'])
})

test('that clock still runs when its caller has hung up', async () => {
  const { clock, call } = build()
  const first = call(held().line, { deadline: 1000 })
  const second = call(SILENT)
  await clock.advance(10)
  first.context.cancellation.cancel(new GatewayError('Cancelled', 'gone'))
  await clock.advance(990)
  assert.equal(typeOf(second.result), 'Timeout')
})

test("a later caller's own clock ends its waiting alone", async () => {
  const { clock, call } = build()
  const upstream = held()
  const first = call(upstream.line)
  const second = call(SILENT)
  await clock.advance(10)
  second.context.cancellation.cancel(new GatewayError('Timeout', 'own total', { sent: 'no' }))
  await clock.advance(0)
  assert.deepEqual([typeOf(second.result), first.result.done], ['Timeout', false])
  upstream.answer(GOOD)
  await clock.advance(0)
  assert.equal(first.result.value, GOOD)
})

test('a call that another replica carries out is waited for, and its outcome given', async () => {
  const clock = createFakeClock()
  const store = createStore()
  const [here, there] = [build(clock, store), build(clock, store)]
  const upstream = held()
  there.call(upstream.line)
  const second = here.call(SILENT)
  await clock.advance(3000)
  assert.equal(second.result.done, false)
  const asked = store.claims.length
  upstream.answer(GOOD)
  await clock.advance(1000)
  assert.deepEqual([second.result.value, second.asked.length, second.context.trail.replayed], [GOOD, 0, true])
  assert.ok(asked < 12, `${asked} questions in 3 s`)
})

test('the waiting for another replica ends with the call', async () => {
  const clock = createFakeClock()
  const store = createStore()
  build(clock, store).call(held().line)
  const second = build(clock, store).call(SILENT)
  await clock.advance(500)
  second.context.cancellation.cancel(new GatewayError('Timeout', 'total', { sent: 'no' }))
  await clock.advance(0)
  assert.deepEqual([typeOf(second.result), clock.pending], ['Timeout', 0])
})

test('what another replica gave up unsent is carried out here', async () => {
  const clock = createFakeClock()
  const store = createStore()
  const upstream = held()
  build(clock, store).call(upstream.line)
  const second = build(clock, store).call(GOOD)
  await clock.advance(10)
  upstream.fail(REFUSED)
  await clock.advance(1000)
  assert.deepEqual([second.result.value, second.context.trail.replayed], [GOOD, false])
})

test('a first call that was lost in flight is never repeated silently', async () => {
  const { clock, store, call } = build()
  call(GOOD)
  await clock.advance(0)
  const [key, row] = [...store.rows][0] as [string, { fingerprint: string; outcome: string | null }]
  store.rows.set(key, { ...row, outcome: null, lost: true })
  const second = call(GOOD)
  await clock.advance(0)
  assert.deepEqual([typeOf(second.result), second.asked.length], ['OutcomeUnknown', 0])
})

test('an outcome that cannot be read is unknown', async () => {
  const { clock, store, call } = build()
  call(GOOD)
  await clock.advance(0)
  const [key, row] = [...store.rows][0] as [string, { fingerprint: string; outcome: string | null }]
  store.rows.set(key, { ...row, outcome: '{"format":99}' })
  const second = call(GOOD)
  await clock.advance(0)
  assert.equal(typeOf(second.result), 'OutcomeUnknown')
})

test('while the shared store is away calls with a key are refused, and nothing is sent', async () => {
  const { clock, store, call } = build()
  store.away = true
  const { result, asked, context } = call(GOOD)
  await clock.advance(0)
  assert.deepEqual([typeOf(result), asked.length, context.trail.replayed], ['Overloaded', 0, false])
  store.away = false
  const again = call(GOOD)
  await clock.advance(0)
  assert.equal(again.result.value, GOOD)
})

test("an adapter with idempotency: local needs this replica's memory alone", async () => {
  const { clock, store, local, call } = build()
  store.away = true
  call(GOOD, { adapter: { idempotency: 'local' } })
  await clock.advance(0)
  const second = call(SILENT, { adapter: { idempotency: 'local' } })
  await clock.advance(0)
  assert.deepEqual([second.result.value, store.claims.length, local.rows.size], [GOOD, 0, 1])
})

test('an outcome that cannot be stored is still the outcome, with a warning', async () => {
  const { clock, store, call } = build()
  const upstream = held()
  const { context, result } = call(upstream.line)
  await clock.advance(0)
  store.away = true
  upstream.answer(GOOD)
  await clock.advance(0)
  assert.equal(result.value, GOOD)
  assert.match(context.trail.warnings.join(), /could not be remembered/)
})

test('a fault of our own comes up as it was, and what may have been sent before it is not repeated', async () => {
  const { clock, call } = build()
  const bug = new TypeError('bug')
  const first = call(async (_, { trail }) => {
    trail.begin(anAttempt('maybe'))
    throw bug
  })
  await clock.advance(0)
  assert.equal(first.result.error, bug)
  const second = call(GOOD)
  await clock.advance(0)
  assert.deepEqual([typeOf(second.result), second.asked.length], ['InternalError', 0])
})
