import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { AdminAsk } from '../../../src/model/administration.ts'
import type { Answer } from '../../../src/model/gateway-port.ts'
import { CANARY } from '../../support/canary.ts'
import { aFace, anAnswer, CALLERS } from './face.ts'

const OPS = { 'x-sallyport-key': 'ops-key' }

function administered(perform = (_ask: AdminAsk): Promise<unknown> => Promise.resolve({ done: true })) {
  const asks: AdminAsk[] = []
  const administration = {
    async perform(ask: AdminAsk) {
      asks.push(ask)
      return { json: await perform(ask) }
    },
  }
  return { asks, ports: { callers: () => CALLERS, administration } }
}

test('what was asked is handed on: operation, names of the path, query, body, who', async (t) => {
  const { asks, ports } = administered()
  const { url } = await aFace(t, { ports })
  const answer = await fetch(`${url}/v1/admin/adapters/git%68ub/breaker?a=1`, {
    method: 'PUT',
    headers: { ...OPS, 'content-type': 'application/json', 'x-request-id': 'r1' },
    body: '{"state":null}',
  })
  assert.deepEqual([answer.status, await answer.json()], [200, { done: true }])
  assert.deepEqual([answer.headers.get('cache-control'), answer.headers.get('x-request-id')], ['no-store', 'r1'])
  const [{ body, caller, ...ask }] = asks as [AdminAsk]
  assert.deepEqual([body.toString(), caller.name], ['{"state":null}', 'ops'])
  assert.deepEqual(
    { ...ask, params: { ...ask.params } },
    {
      ...{ operation: 'setBreaker', requestId: 'r1', query: 'a=1', accept: '*/*' },
      params: { name: 'github' },
    },
  )
})

test('of a caller without rights no body is read', async (t) => {
  const { asks, ports } = administered()
  const { url } = await aFace(t, { ports })
  const headers = { 'x-sallyport-key': 'billing-key', 'content-type': 'application/json' }
  await fetch(`${url}/v1/admin/log-level`, { method: 'PUT', headers, body: CANARY })
  assert.equal(asks[0]?.body.length, 0)
})

test('a body over the limit is refused before it is read', async (t) => {
  const { asks, ports } = administered()
  const { url } = await aFace(t, { ports, options: { descriptorLimit: 10 } })
  const headers = { ...OPS, 'content-type': 'application/json' }
  const answer = await fetch(`${url}/v1/admin/log-level`, { method: 'PUT', headers, body: '"0123456789"' })
  assert.deepEqual([answer.status, asks.length], [413, 0])
})

test('a fault of ours tells nothing of itself', async (t) => {
  const { ports } = administered(() => Promise.reject(new TypeError(CANARY)))
  const { url } = await aFace(t, { ports })
  const answer = await fetch(`${url}/v1/admin/config`, { headers: OPS })
  const text = await answer.text()
  assert.equal(answer.status, 500)
  assert.doesNotMatch(text, /cnry|TypeError/)
})

test('it answers while the gateway drains', async (t) => {
  const { ports } = administered()
  const release = Promise.withResolvers<Answer>()
  const { face, url, calls } = await aFace(t, { ports, call: () => release.promise })
  const waiting = fetch(`${url}/v1/requests`, {
    method: 'POST',
    headers: { ...OPS, 'content-type': 'application/json' },
    body: '{}',
  })
  while (calls.length === 0) await sleep(1)
  const drained = face.drain(5000)
  assert.equal((await fetch(`${url}/v1/admin/config`, { headers: OPS })).status, 200)
  release.resolve(anAnswer('done'))
  await Promise.all([waiting.then((answer) => answer.text()), drained])
})
