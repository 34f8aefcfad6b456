// What the gateway makes of bugs of its own: a call is answered, logged and recorded, and nothing of the bug's own text gets out.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createGateway } from '../../src/gateway.ts'
import { bodyText } from '../../src/model/answer-body.ts'
import { createCancellation } from '../../src/model/cancellation.ts'
import type { Dispatch } from '../../src/model/dispatch.ts'
import { createQuotas } from '../../src/policy/quota.ts'
import { createTokenBucket } from '../../src/policy/token-bucket.ts'
import { aJar, aMeter, anAdapter, aResponse, CEILINGS } from '../support/builders.ts'
import { createFakeClock } from '../support/fake-clock.ts'

function createWorld(dispatch: Dispatch) {
  const told: unknown[] = []
  const recorded: string[] = []
  const gateway = createGateway({
    clock: createFakeClock(),
    routes: () => ({ ceilings: CEILINGS, caBundles: new Set(), find: () => ({ adapter: anAdapter(), because: 'test' }) }),
    dispatch,
    rehearse: dispatch,
    quotas: createQuotas((_name, rate) => createTokenBucket(rate, createFakeClock())),
    sessions: { open: async () => aJar(), save: async () => {}, transient: aJar },
    audit: {
      intent: async () => recorded.push('intent'),
      result: async () => void recorded.push('result'),
      act: async () => {},
      writable: () => true,
      close: async () => {},
    },
    meter: aMeter(),
    log: { log: (...line) => void told.push(line), callLine: (line) => void told.push(line) },
    nextTurn: async () => {},
    makeBoundary: () => 'b',
    isGlobalUnicast: () => true,
  })
  const call = async () => {
    const answer = await gateway.call({
      entrance: 'requests',
      requestId: 'r-1',
      traceparent: null,
      timeLeftMs: null,
      caller: { name: 'local', admin: true, may: null },
      body: Buffer.from('{"url":"https://api.example.com/"}'),
      cancellation: createCancellation(),
    })
    return { status: answer.status, text: bodyText(answer.body) }
  }
  return { call, told, recorded }
}

test('a bug is InternalError, and neither its message nor a message that looks like a stack is logged or answered', async () => {
  const bug = new TypeError('the token was s3cret\n    at s3cret (https://user:s3cret@host)\n    at last')
  const { call, told, recorded } = createWorld(() => Promise.reject(bug))
  const { status, text } = await call()
  assert.equal(status, 500)
  assert.equal(JSON.parse(text).error.type, 'InternalError')
  assert.doesNotMatch(text + JSON.stringify(told), /s3cret/)
  assert.match(JSON.stringify(told), /"name":"TypeError".*gateway\.test\.ts/)
  assert.deepEqual(recorded, ['intent', 'result'])
})

test('an answer that cannot be told is InternalError, and recorded', async () => {
  const { call, recorded } = createWorld(async () => aResponse({ reason: Symbol('no text') as unknown as string }))
  const { status, text } = await call()
  assert.equal(status, 500)
  assert.equal(JSON.parse(text).error.type, 'InternalError')
  assert.deepEqual(recorded, ['intent', 'result'])
})
