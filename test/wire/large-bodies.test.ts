// Large bodies of many calls at once: their memory is given back by hand, and each answer must hold its own bytes to the last.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { setScene } from '../support/scene.ts'
import type { Scripted } from '../support/scripted-upstream.ts'

const BYTES = 1_500_000

/** JSON that is another for each number, in whole and in each of its parts. */
function documentOf(number: number): string {
  const items: string[] = []
  for (let size = 0; size < BYTES; size += 70) items.push(createHash('sha256').update(`${number}-${size}`).digest('hex'))
  return JSON.stringify({ number, items })
}

const TYPE: readonly [string, string] = ['Content-Type', 'application/json']

const ways: Readonly<Record<string, (body: string) => Scripted>> = {
  length: (body) => ({ headers: [TYPE], body }),
  gzip: (body) => ({ headers: [TYPE, ['Content-Encoding', 'gzip']], body: gzipSync(body, { level: 1 }) }),
  chunked: (body) => ({
    headers: [TYPE, ['Transfer-Encoding', 'chunked']],
    body: `${(body.match(/.{1,50000}/g) ?? []).map((part) => `${part.length.toString(16)}\r\n${part}\r\n`).join('')}0\r\n\r\n`,
  }),
}

test('large answers side by side are each their own, however they come and however they are asked for', async (t) => {
  const { up, gateway, at } = await setScene(t, { adapter: { responseSize: '32MiB' } })
  const documents = Array.from({ length: 4 }, (_, number) => documentOf(number))
  up.answer(({ target }) => {
    const [, way = '', number = ''] = target.split('/')
    return ways[way]?.(documents[Number(number)] ?? '') ?? { status: 404 }
  })
  for (let round = 0; round < 2; round++) {
    const calls = Object.keys(ways).flatMap((way) =>
      documents.flatMap((document, number) =>
        ['json', 'base64', 'text'].map(async (decode) => {
          const { envelope } = await gateway.call({ url: at(`/${way}/${number}`), decode })
          const got =
            decode === 'json'
              ? JSON.stringify(envelope.json)
              : decode === 'text'
                ? envelope.text
                : Buffer.from(envelope.base64, 'base64').toString()
          assert.ok(got === document, `${way} ${number} as ${decode}`)
          assert.equal(envelope.bytes, document.length)
        }),
      ),
    )
    await Promise.all(calls)
  }
})

test('a large answer that calls with one idempotency key share is whole for each of them', async (t) => {
  const { up, gateway, at } = await setScene(t, { adapter: { responseSize: '32MiB' } })
  const document = documentOf(7)
  up.answer(ways.length?.(document) ?? {})
  const call = async (decode: string) => {
    const { envelope } = await gateway.call({ url: at('/shared'), decode, idempotencyKey: 'one' })
    return decode === 'base64' ? Buffer.from(envelope.base64, 'base64').toString() : JSON.stringify(envelope.json)
  }
  const together = await Promise.all(['json', 'base64', 'json', 'base64'].map(call))
  for (const got of [...together, await call('json'), await call('base64')]) assert.ok(got === document)
  assert.equal(up.received.length, 1)
})
