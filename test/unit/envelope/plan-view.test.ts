import assert from 'node:assert/strict'
import { test } from 'node:test'
import { prepareAnswerSchema } from '../../../src/descriptor/envelope-schema.ts'
import { buildPlanView, type PlanFacts } from '../../../src/envelope/plan-view.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import { bodyText } from '../../../src/model/answer-body.ts'
import type { CredentialChoice } from '../../../src/model/hop.ts'
import { anAdapter, aPlan } from '../../support/builders.ts'

const BASE: PlanFacts = { request: null, plan: null, totalMs: null, error: null, warnings: [], repeatable: true, admin: false }

function view(over: Partial<PlanFacts>) {
  const answer = buildPlanView({ ...BASE, ...over })
  const text = bodyText(answer.body)
  prepareAnswerSchema.parse(JSON.parse(text))
  return { ...answer, text, json: JSON.parse(text) }
}

test('a call that would be sent is explained whole, its body included', () => {
  const adapter = anAdapter({
    limits: {
      concurrency: 5,
      queue: 7,
      rate: { count: 5000, perMs: 3_600_000, burst: 10 },
      rateBy: 'origin',
      whenSpent: 'queue',
      mode: 'enforce',
      cooldown: true,
    },
  })
  const { status, json } = view({
    request: { method: 'PUT', url: 'https://api.example.com/', headers: [['X-A', '1']], body: Buffer.from('hi') },
    plan: aPlan({ adapter, because: 'longest prefix', credential: { kind: 'stored', name: 'github-token', from: 'adapter' } }),
    totalMs: 30_000,
    warnings: ['careful'],
  })
  assert.equal(status, 200)
  assert.deepEqual(json, {
    request: {
      method: 'PUT',
      url: 'https://api.example.com/',
      headers: { 'X-A': '1', 'Content-Length': '2' },
      bodyBytes: 2,
      body: { text: 'hi' },
    },
    plan: {
      adapter: 'example',
      because: 'longest prefix',
      credential: 'github-token',
      timeout: { connect: 2000, read: 10_000, total: 30_000 },
      retry: {
        total: 2,
        connect: null,
        read: null,
        status: null,
        statusForcelist: [429, 502, 503, 504],
        allowedMethods: ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'],
        backoffFactor: 200,
        backoffMax: 10_000,
        respectRetryAfterHeader: true,
        raiseOnStatus: false,
        maxRetries: 2,
      },
      limits: { concurrency: 5, queue: 7, rate: '5000/h', responseSize: 10_485_760 },
      refusedBy: null,
    },
    warnings: ['careful'],
    error: null,
  })
})

test('a refusal has the status that the call would have had, and names itself', () => {
  const { status, json } = view({ error: new GatewayError('EgressDenied', 'no adapter is mounted there') })
  assert.equal(status, 403)
  assert.deepEqual(json.plan, {
    adapter: null,
    because: null,
    credential: null,
    timeout: null,
    retry: null,
    limits: null,
    refusedBy: 'EgressDenied',
  })
  assert.deepEqual(json.error, { type: 'EgressDenied', message: 'no adapter is mounted there', sent: 'no', retryable: false })
})

test('a fault of the descriptor is no refusal', () => {
  const { status, json } = view({ error: new GatewayError('MissingSchema', 'no scheme') })
  assert.deepEqual([status, json.request, json.plan.refusedBy, json.error.type], [400, null, null, 'MissingSchema'])
})

const CREDENTIALS: readonly (readonly [credential: CredentialChoice, shown: string | null])[] = [
  [{ kind: 'none' }, null],
  [{ kind: 'given', auth: { type: 'basic', username: 'ann', password: 'canary' } }, 'basic'],
  [{ kind: 'given', auth: { type: 'bearer', token: 'canary' } }, 'bearer'],
  [{ kind: 'stored', name: 'github-token', from: 'descriptor' }, 'github-token'],
]
for (const [credential, shown] of CREDENTIALS) {
  test(`a credential that is ${credential.kind} is shown as ${shown}, never its value`, () => {
    const { json, text } = view({ plan: aPlan({ credential }) })
    assert.equal(json.plan.credential, shown)
    assert.doesNotMatch(text, /canary|ann/)
  })
}

test('a rate that each caller or credential has says so', () => {
  const rate = { count: 5, perMs: 60_000, burst: 5 }
  for (const rateBy of ['caller', 'credential'] as const) {
    const adapter = anAdapter({ limits: { ...anAdapter().limits, rate, rateBy } })
    assert.equal(view({ plan: aPlan({ adapter }), totalMs: 1 }).json.plan.limits.rate, `5/m per ${rateBy}`)
  }
})
