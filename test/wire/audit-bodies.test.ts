import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CANARY_TOKEN } from '../support/canary.ts'
import { setScene } from '../support/scene.ts'

const json = (body: string) => ({ body, headers: [['Content-Type', 'application/json']] }) as const

test('bodies are recorded where an adapter says so, with its fields masked, and found again', async (t) => {
  const audit = { bodies: true, redact: ['$.card.number'], bodySize: 100 }
  const { gateway, up, at } = await setScene(t, { adapter: { audit } })
  up.answer(json('{"ok":true,"card":{"number":"4111"}}'))
  const { envelope } = await gateway.call({
    url: at('/pay'),
    method: 'POST',
    json: { card: { number: '4111 1111', name: 'Ann' } },
  })
  assert.equal(envelope.status, 200)
  const result = gateway.audit().find(({ kind }) => kind === 'result')
  assert.deepEqual(result.bodies.request, { bytes: 44, text: '{"card":{"number":"***","name":"Ann"}}' })
  assert.equal(result.bodies.response.text, '{"ok":true,"card":{"number":"***"}}')
})

test('an answer that echoes the credential is not recorded, and neither is a request that carries it', async (t) => {
  const { gateway, up, at } = await setScene(t, {
    adapter: {
      credentials: 'token',
      allowPlaintextSecrets: true,
      audit: { bodies: true, contentTypes: ['application/json', 'text/*'] },
    },
    secrets: (up) => [{ name: 'token', scheme: 'bearer', values: { token: CANARY_TOKEN }, origins: [up.origin], callers: ['*'] }],
  })
  up.answer(json(JSON.stringify({ echo: Buffer.from(`x${CANARY_TOKEN}`).toString('base64') })))
  await gateway.call({ url: at('/echo'), method: 'POST', json: { plain: true } }, { echoes: true })
  const result = gateway.audit().find(({ kind }) => kind === 'result')
  assert.deepEqual([result.bodies.request.text, result.bodies.response.omitted], ['{"plain":true}', 'it holds the credential'])
})

test('of an adapter that says nothing no body is recorded', async (t) => {
  const { gateway, at } = await setScene(t)
  await gateway.call({ url: at('/x'), method: 'POST', json: { a: 1 } })
  assert.equal('bodies' in gateway.audit().find(({ kind }) => kind === 'result'), false)
})
