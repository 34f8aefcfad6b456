import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import { bulkhead } from '../../../src/layers/bulkhead.ts'
import { gates } from '../../../src/model/dispatch.ts'
import { createSlots } from '../../../src/policy/slots.ts'
import { aContext, aRequest, aResponse } from '../../support/builders.ts'
import { createFakeClock } from '../../support/fake-clock.ts'
import { held, scripted, watch } from '../../support/scripted-dispatch.ts'

function compartment(concurrency: number, queue: number) {
  const clock = createFakeClock()
  const slots = createSlots({ concurrency, queue })
  const upstream = held()
  const script = scripted(upstream.line)
  const dispatch = gates(bulkhead(slots, { clock }))(script.dispatch)
  const call = () => {
    const context = aContext()
    return { context, result: watch(dispatch(aRequest(), context)) }
  }
  return { clock, slots, upstream, script, call }
}

test('with a slot free a call passes without a wait, and gives the slot back', async () => {
  const { clock, slots, upstream, call } = compartment(1, 0)
  const { context, result } = call()
  assert.equal(slots.inUse, 1)
  upstream.answer(aResponse())
  await clock.advance(0)
  assert.deepEqual([result.value?.status, slots.inUse, context.trail.queuedMs], [200, 0, 0])
})

test('a slot is given back after a failure too', async () => {
  const { clock, slots, upstream, call } = compartment(1, 0)
  const { result } = call()
  const error = new GatewayError('ConnectionError', 'broke')
  upstream.fail(error)
  await clock.advance(0)
  assert.deepEqual([result.error, slots.inUse], [error, 0])
})

test('beyond the slots calls queue in order, and their wait is in the ledger', async () => {
  const { clock, upstream, script, call } = compartment(1, 2)
  call()
  const second = call()
  const third = call()
  await clock.advance(250)
  upstream.answer(aResponse())
  await clock.advance(0)
  assert.equal(script.asked.length, 2)
  assert.deepEqual(second.context.trail.takeWait(), { waited: 250, because: 'queue' })
  upstream.answer(aResponse())
  await clock.advance(0)
  upstream.answer(aResponse())
  await clock.advance(0)
  assert.deepEqual([second.result.done, third.result.done], [true, true])
})

test('beyond the queue a call is refused at once, naming both limits', async () => {
  const { clock, slots, call } = compartment(1, 1)
  call()
  call()
  const { result } = call()
  await clock.advance(0)
  const error = result.error as GatewayError
  assert.deepEqual([error.type, error.retryAfter, error.sent], ['BulkheadFull', 1000, 'no'])
  assert.match(error.message, /limits\.concurrency.*limits\.queue.*adapter "example" for https:\/\/api\.example\.com/)
  assert.deepEqual([slots.inUse, slots.queued], [1, 1])
})

test('a queued call leaves the queue when its caller hangs up', async () => {
  const { clock, slots, upstream, script, call } = compartment(1, 1)
  call()
  const queued = call()
  const gone = new GatewayError('Cancelled', 'gone')
  queued.context.cancellation.cancel(gone)
  upstream.answer(aResponse())
  await clock.advance(0)
  assert.deepEqual([queued.result.error, slots.inUse, slots.queued, script.asked.length], [gone, 0, 0, 1])
})

test('a call cancelled in the very moment its turn comes gives the slot back', async () => {
  const { clock, slots, upstream, call } = compartment(1, 1)
  call()
  const queued = call()
  upstream.answer(aResponse())
  while (slots.queued > 0) await Promise.resolve()
  queued.context.cancellation.cancel(new GatewayError('Cancelled', 'gone'))
  await clock.advance(0)
  assert.deepEqual([queued.result.done, slots.inUse], [true, 0])
})

test('a running call that is cancelled gives its slot to the next', async () => {
  const { clock, slots, script, call } = compartment(1, 1)
  const running = call()
  call()
  running.context.cancellation.cancel(new GatewayError('Cancelled', 'gone'))
  await clock.advance(0)
  assert.deepEqual([script.asked.length, slots.inUse, slots.queued], [2, 1, 0])
})

test('the total clock that ends in the queue is a Timeout that names the queue, and nothing was sent', async () => {
  const { clock, slots, call } = compartment(1, 1)
  call()
  const queued = call()
  await clock.advance(500)
  queued.context.cancellation.cancel(new GatewayError('Timeout', 'total', { sent: 'maybe' }))
  await clock.advance(0)
  const error = queued.result.error as GatewayError
  assert.deepEqual([error.type, error.sent, slots.queued, queued.context.trail.queuedMs], ['Timeout', 'no', 0, 500])
  assert.match(error.message, /after 500 ms in the queue of adapter "example" for https:\/\/api\.example\.com/)
})

test('one who comes already cancelled does not stay in the queue', async () => {
  const { clock, slots, call } = compartment(1, 1)
  call()
  const context = aContext()
  context.cancellation.cancel(new GatewayError('Cancelled', 'gone'))
  const result = watch(gates(bulkhead(slots, { clock }))(scripted(aResponse()).dispatch)(aRequest(), context))
  await clock.advance(0)
  assert.deepEqual([result.done, slots.queued], [true, 0])
})
