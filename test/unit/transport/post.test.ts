import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import { createPoster } from '../../../src/transport/post.ts'
import { certificates } from '../../support/certificates.ts'

async function aCollector(
  t: TestContext,
  answer: RequestListener,
  tls: { key: string; cert: string } | null = null,
): Promise<string> {
  const server = tls ? createTlsServer(tls, answer) : createServer(answer)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return `${tls ? 'https' : 'http'}://127.0.0.1:${(server.address() as AddressInfo).port}/in`
}

function aPoster(t: TestContext) {
  const poster = createPoster()
  t.after(() => poster.close())
  return poster.post
}

test('a body is posted as it is, and status and text of the answer are told', async (t) => {
  const seen: string[] = []
  const url = await aCollector(t, async (request, response) => {
    seen.push(`${request.method} ${request.url} ${request.headers['x-key']}`)
    for await (const chunk of request) seen.push(String(chunk))
    response.writeHead(202).end('taken')
  })
  assert.deepEqual(await aPoster(t)({ url, headers: { 'x-key': 'k' }, body: '{"é":1}\n', ca: null }), {
    status: 202,
    text: 'taken',
  })
  assert.deepEqual(seen, ['POST /in k', '{"é":1}\n'])
})

test('a redirect is not followed, and an endless answer is read to its bound', async (t) => {
  const url = await aCollector(t, (_request, response) => {
    response.writeHead(307, { location: 'http://127.0.0.1:1/' })
    const timer = setInterval(() => response.write('x'.repeat(1000)), 1)
    response.on('close', () => clearInterval(timer))
  })
  const { status, text } = await aPoster(t)({ url, headers: {}, body: '', ca: null })
  assert.deepEqual([status, text.length], [307, 4096])
})

test('a collector that is not there is an error', async (t) => {
  await assert.rejects(aPoster(t)({ url: 'http://127.0.0.1:1/', headers: {}, body: '', ca: null }))
})

test('a collector with a certificate of a private authority is trusted where that is named, and not otherwise', async (t) => {
  const { good, ca } = certificates()
  const url = await aCollector(t, (_request, response) => response.end('ok'), good)
  const post = aPoster(t)
  assert.equal((await post({ url, headers: {}, body: '', ca })).status, 200)
  await assert.rejects(post({ url, headers: {}, body: '', ca: null }))
})
