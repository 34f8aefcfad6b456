// Several keys behind one name, as callers, operators and the upstream see them.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { SecretPool } from '../../src/model/ports.ts'
import { CANARY_TOKEN } from '../support/canary.ts'
import { setScene } from '../support/scene.ts'
import { valuesOf } from '../support/scripted-upstream.ts'

const MEMBERS = ['one', 'two', 'three'].map((name) => ({ token: `${CANARY_TOKEN}.${name}` }))
const nameOf = (authorization: string | undefined): string => authorization?.split('.').at(-1) ?? ''

interface Refusal {
  readonly status: number
  readonly headers?: [string, string][]
}

/** An upstream that answers each key as the table says, 200 where it says nothing. */
async function setPoolScene(t: TestContext, { pick = 'round-robin' as SecretPool['pick'], adapter = {} } = {}) {
  const scene = await setScene(t, {
    adapter: { credentials: 'it', allowPlaintextSecrets: true, retry: { total: 0 }, ...adapter },
    secrets: ({ origin }) => [
      {
        ...{ name: 'it', scheme: 'bearer', origins: [origin], callers: ['*'] },
        ...{ values: MEMBERS[0] ?? {}, pool: { pick, members: MEMBERS } },
      },
    ],
  })
  const refusals: Record<string, Refusal | undefined> = {}
  scene.up.answer((request) => ({ body: 'x', ...refusals[nameOf(valuesOf(request, 'authorization')[0])] }))
  const sent = (): string[] => scene.up.received.map((request) => nameOf(valuesOf(request, 'authorization')[0]))
  return { ...scene, refusals, sent }
}

const ledger = (envelope: { attempts: Record<string, unknown>[] }): unknown[] =>
  envelope.attempts.map(({ status, because }) => [status, because])

test('each key in turn, and the trail says which', async (t) => {
  const { gateway, at, sent } = await setPoolScene(t)
  for (let i = 0; i < 4; i++) {
    const { envelope } = await gateway.call({ url: at('/p') })
    assert.deepEqual([envelope.status, envelope.request.headers.Authorization], [200, 'Bearer ***'])
  }
  assert.deepEqual(sent(), ['one', 'two', 'three', 'one'])
  const told = gateway.audit().flatMap(({ kind, credential }) => (kind === 'result' ? [credential] : []))
  assert.deepEqual(told, ['it@1#1', 'it@1#2', 'it@1#3', 'it@1#1'])
  assert.match(gateway.logs(), /"credential":"it@1#3"/)
})

test('a key whose limit is spent rests, and the call goes on with the next, as an attempt of its own', async (t) => {
  const { gateway, at, sent, refusals } = await setPoolScene(t)
  refusals.one = { status: 429, headers: [['Retry-After', '60']] }
  const { envelope } = await gateway.call({ url: at('/p') })
  assert.deepEqual([envelope.status, envelope.history], [200, []])
  assert.deepEqual(ledger(envelope), [[429, null], [200, 'renewed credential']]) // biome-ignore format: pairs
  for (let i = 0; i < 3; i++) assert.equal((await gateway.call({ url: at('/p') })).envelope.attempts.length, 1)
  assert.deepEqual(sent(), ['one', 'two', 'three', 'two', 'three'])
})

test('where all rest, the call ends at once and says when the next is ready', async (t) => {
  const { gateway, at, sent, refusals } = await setPoolScene(t)
  for (const [name, seconds] of [
    ['one', '60'],
    ['two', '30'],
    ['three', '90'],
  ] as const)
    refusals[name] = { status: 429, headers: [['Retry-After', seconds]] }
  const limited = await gateway.call({ url: at('/p') })
  assert.deepEqual([limited.status, limited.envelope.status, sent().length], [200, 429, 3])
  const { status, headers, envelope } = await gateway.call({ url: at('/p') })
  assert.deepEqual([status, envelope.error.type, envelope.error.sent], [503, 'CredentialUnavailable', 'no'])
  assert.match(envelope.error.message, /all of its 3 keys were refused with 401 or 429/)
  assert.ok(envelope.error.retryAfter > 29_000 && envelope.error.retryAfter <= 30_000)
  assert.equal(headers['retry-after'], '30')
  assert.equal(sent().length, 3)
})

test('a POST is not repeated with another key, unless it has an idempotency key', async (t) => {
  const { gateway, at, sent, refusals } = await setPoolScene(t)
  refusals.one = { status: 401 }
  refusals.two = { status: 429 }
  const post = { url: at('/p'), method: 'POST', json: {} }
  const first = await gateway.call(post)
  assert.deepEqual([first.envelope.status, first.envelope.attempts.length], [401, 1])
  const second = await gateway.call({ ...post, idempotencyKey: 'k-1' })
  assert.deepEqual(ledger(second.envelope), [[429, null], [200, 'renewed credential']]) // biome-ignore format: pairs
  assert.deepEqual(sent(), ['one', 'two', 'three'])
  assert.match(gateway.logs(), /"event":"key set aside".*"credential":"it@1#1"|"credential":"it@1#1".*"key set aside"/)
})

test('a retry for another reason has the next key', async (t) => {
  const { gateway, at, sent, refusals } = await setPoolScene(t, {
    pick: 'least-used',
    adapter: { retry: { total: 2, backoffFactor: 1 } },
  })
  refusals.one = { status: 503 }
  const { envelope } = await gateway.call({ url: at('/p') })
  assert.deepEqual([envelope.status, sent()], [200, ['one', 'two']])
})

test('prepare explains a pool, and takes no turn of its own', async (t) => {
  const { gateway, at, sent } = await setPoolScene(t)
  const { envelope } = await gateway.post('/v1/prepare', JSON.stringify({ url: at('/p') }))
  assert.deepEqual([envelope.error, envelope.request.headers.Authorization], [null, 'Bearer ***'])
  await gateway.call({ url: at('/p') })
  assert.deepEqual(sent(), ['one'])
})
