// The entrances and their refusals: paths, methods, content types, sizes, clocks, foreign pages, hosts, probes, documentation.
import assert from 'node:assert/strict'
import { rmSync, symlinkSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { sendRaw } from '../support/raw-client.ts'
import { createRudeUpstream } from '../support/rude-upstream.ts'
import { gatewayFor, setScene } from '../support/scene.ts'
import { loopbackAdapter, until } from '../support/wire.ts'

const JSON_TYPE = { 'content-type': 'application/json' }

test('a path that is no entrance is NotFound, a wrong method names the right ones', async (t) => {
  const { gateway } = await setScene(t)
  for (const path of [
    '/nowhere',
    '/v1',
    '/v1/',
    '/v1/requests/',
    '/V1/requests',
    '//v1/requests',
    '/v1/%72equests',
    '/healthz/x',
    '/%ff',
  ]) {
    const { status, envelope } = await gateway.send('POST', path, '{}', { headers: JSON_TYPE })
    assert.deepEqual([status, envelope.error.type], [404, 'NotFound'], path)
  }
  for (const path of ['/v1/requests', '/v1/prepare', '/v1/batch'])
    for (const method of ['GET', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE', 'HEAD', 'QUERY']) {
      const { status, headers } = await gateway.send(method, path, null)
      assert.deepEqual([status, headers.allow], [405, 'POST'], `${method} ${path}`)
    }
  for (const path of ['/healthz', '/readyz', '/openapi.json', '/docs', '/metrics'])
    for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS']) {
      const { status, headers, envelope } = await gateway.send(method, path, null)
      assert.deepEqual([status, headers.allow, envelope.error.type], [405, 'GET, HEAD', 'MethodNotAllowed'], `${method} ${path}`)
    }
  for (const path of ['/healthz', '/readyz', '/openapi.json', '/docs', '/metrics']) {
    const [get, head] = [await gateway.get(path), await gateway.send('HEAD', path, null)]
    assert.deepEqual([get.status, head.status, head.text], [200, 200, ''])
    assert.ok(head.headers['x-request-id'])
  }
})

test('a query means nothing to an entrance', async (t) => {
  const { gateway, at } = await setScene(t)
  assert.equal((await gateway.post('/v1/requests?pretty', JSON.stringify({ url: at('/p') }))).envelope.ok, true)
})

test('the JSON entrances want JSON, uncompressed and in UTF-8', async (t) => {
  const { gateway, at } = await setScene(t)
  const body = JSON.stringify({ url: at('/p') })
  for (const type of [
    'application/json',
    'Application/JSON',
    'application/json; charset=utf-8',
    'application/json;charset="UTF-8"',
  ])
    assert.equal((await gateway.post('/v1/requests', body, { headers: { 'content-type': type } })).status, 200, type)
  for (const entrance of ['/v1/requests', '/v1/prepare', '/v1/batch']) {
    for (const type of ['text/plain', 'application/jsonp', 'application/vnd.x+json', 'application/json; charset=latin1', '']) {
      const { status, envelope } = await gateway.post(entrance, body, { headers: { 'content-type': type } })
      assert.deepEqual([status, envelope.error.type], [415, 'UnsupportedMediaType'], type)
    }
    assert.equal((await gateway.send('POST', entrance, body)).status, 415)
    assert.equal((await gateway.post(entrance, body, { headers: { 'content-encoding': 'gzip' } })).status, 415)
  }
})

test('too large: 413 for a body, 431 for a head', async (t) => {
  const { gateway, up, at } = await setScene(t, { config: { listen: { port: 0, descriptorSize: '2KiB' } } })
  const descriptor = (size: number): string => JSON.stringify({ url: at('/p'), method: 'POST', data: 'x'.repeat(size) })
  assert.equal((await gateway.post('/v1/requests', descriptor(1900))).status, 200)
  const declared = await gateway.post('/v1/requests', descriptor(2048))
  assert.deepEqual([declared.status, declared.envelope.error.type, declared.envelope.error.sent], [413, 'RequestTooLarge', 'no'])
  const chunked = await gateway.post('/v1/requests', descriptor(2048), { headers: { 'transfer-encoding': 'chunked' } })
  assert.deepEqual([chunked.status, chunked.envelope.error.type], [413, 'RequestTooLarge'])
  const head = await gateway.call({ url: at('/p') }, { headers: { 'x-long': 'x'.repeat(17 * 1024) } })
  assert.deepEqual([head.status, head.envelope.error.type, head.headers.connection], [431, 'RequestTooLarge', 'close'])
  assert.equal(up.received.length, 1)
})

test('too slow: RequestTimeout', async (t) => {
  const { gateway, up } = await setScene(t, { config: { listen: { port: 0, headTimeout: '120ms', bodyTimeout: '150ms' } } })
  for (const begun of [
    'POST /v1/requests HTTP/1.1\r\nHost: localhost\r\n',
    'POST /v1/requests HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 50\r\n\r\n{"url":',
  ]) {
    const { answers } = await sendRaw(gateway.port, [begun], { quietMs: 1500 })
    assert.deepEqual(
      answers.map(({ status, body, headers }) => [status, body.error.type, headers.connection]),
      [[408, 'RequestTimeout', 'close']],
    )
  }
  assert.equal(up.accepted(), 0)
})

test('malformed HTTP is told, and ends the connection', async (t) => {
  const { gateway, up } = await setScene(t)
  for (const bytes of [
    'rubbish\r\n\r\n',
    'GET /healthz HTTP/1.1\r\n\r\n',
    'GET /healthz HTTP/1.1\r\nHost: localhost\r\nBad Header: x\r\n\r\n',
    'POST /v1/requests HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'POST /v1/prepare HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}',
  ]) {
    const { answers } = await sendRaw(gateway.port, [bytes])
    assert.deepEqual(
      answers.map(({ status, body, headers }) => [status, body.error.type, headers.connection]),
      [[400, 'InvalidDescriptor', 'close']],
    )
  }
  const { answers: tunnels } = await sendRaw(gateway.port, ['CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n'])
  assert.deepEqual(
    tunnels.map(({ status }) => status),
    [405],
  )
  const { answers: old } = await sendRaw(gateway.port, ['GET /healthz HTTP/1.0\r\nHost: localhost\r\n\r\n'])
  assert.deepEqual(
    old.map(({ status }) => status),
    [200],
  )
  assert.equal(up.accepted(), 0)
})

test('pages of another origin are Forbidden everywhere, and there is no CORS', async (t) => {
  const { gateway, at, up } = await setScene(t)
  const body = JSON.stringify({ url: at('/p') })
  const own = `http://127.0.0.1:${gateway.port}`
  for (const headers of [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    { origin: `http://127.0.0.1:${gateway.port + 1}` },
    { origin: `http://localhost:${gateway.port}` },
    { 'sec-fetch-site': 'cross-site' },
    { origin: own, 'sec-fetch-site': 'cross-site' },
  ]) {
    for (const ask of [() => gateway.post('/v1/requests', body, { headers }), () => gateway.get('/metrics', { headers })]) {
      const { status, envelope, headers: answered } = await ask()
      assert.deepEqual([status, envelope.error.type], [403, 'Forbidden'], JSON.stringify(headers))
      assert.deepEqual(
        Object.keys(answered).filter((name) => name.startsWith('access-control')),
        [],
      )
    }
  }
  assert.equal(up.accepted(), 0)
  for (const headers of [{ origin: own }, { origin: own, 'sec-fetch-site': 'same-origin' }, { 'sec-fetch-site': 'none' }])
    assert.equal((await gateway.post('/v1/requests', body, { headers })).status, 200)
  const preflight = await gateway.send('OPTIONS', '/v1/requests', null, {
    headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
  })
  assert.equal(preflight.status, 403)
})

test('without callers, Host must be this machine', async (t) => {
  const { gateway, at } = await setScene(t)
  const status = async (host: string): Promise<number> => (await gateway.call({ url: at('/p') }, { headers: { host } })).status
  for (const host of ['localhost', 'LOCALHOST:1', '127.0.0.1', `127.0.0.1:${gateway.port}`, '[::1]:80'])
    assert.equal(await status(host), 200, host)
  for (const host of [
    'evil.example',
    'localhost.evil.example',
    '127.0.0.1.nip.io',
    '127.0.0.2',
    'localhost:x',
    '0.0.0.0',
    '[::]',
  ])
    assert.equal(await status(host), 403, host)
})

test('without callers, no address but loopback is listened on', async () => {
  const { startGateway } = await import('../support/gateway.ts')
  await assert.rejects(startGateway({ adapters: [], config: { listen: { host: '0.0.0.0', port: 0 } } }), /callers/)
})

test('probes', async (t) => {
  const { gateway } = await setScene(t)
  const health = await gateway.get('/healthz')
  assert.deepEqual([health.status, health.headers['content-type']], [200, 'application/json'])
  assert.equal((await gateway.get('/readyz')).text, '{"ready":true,"degraded":[]}')
})

test('readyz is 503 while no call can be recorded, and 200 again once one can', {
  skip: process.platform !== 'linux',
}, async (t) => {
  const { gateway, at } = await setScene(t)
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 86_400_000 })
  const tomorrow = join(gateway.dataDir, 'audit', `${new Date().toISOString().slice(0, 10)}.jsonl`)
  symlinkSync('/dev/full', tomorrow)
  const { status, envelope } = await gateway.call({ url: at('/p') })
  assert.deepEqual([status, envelope.error.type, envelope.error.sent], [503, 'Overloaded', 'no'])
  const { status: ready, envelope: said } = await gateway.get('/readyz')
  assert.deepEqual([ready, said.ready, said.degraded], [503, false, ['audit']])
  assert.equal((await gateway.get('/healthz')).status, 200)
  t.mock.timers.reset()
  rmSync(tomorrow)
  assert.deepEqual([(await gateway.get('/readyz')).status, (await gateway.call({ url: at('/p') })).status], [200, 200])
})

test('openapi.json is a document that its own dialect accepts, and the page at /docs needs nobody else', async (t) => {
  const { gateway } = await setScene(t)
  const { envelope: document, headers } = await gateway.get('/openapi.json')
  assert.equal(headers['content-type'], 'application/json')
  assert.match(document.openapi, /^3\.1\./)
  assert.deepEqual(
    ['/v1/requests', '/v1/prepare', '/v1/batch', '/healthz', '/readyz', '/metrics', '/openapi.json', '/docs'].filter(
      (path) => !(path in document.paths),
    ),
    [],
  )
  const ajv = new Ajv2020({ strict: false })
  ajv.addSchema(document, 'openapi')
  for (const name of Object.keys(document.components.schemas))
    assert.ok(ajv.getSchema(`openapi#/components/schemas/${name}`), `${name} compiles`)
  const page = await gateway.get('/docs')
  assert.match(page.headers['content-type'] ?? '', /^text\/html/)
  assert.match(String(page.headers['content-security-policy']), /default-src 'none'.*connect-src 'self'/)
  const parts = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, target = '']) => target)
  assert.ok(parts.length >= 3)
  for (const part of parts.filter((target) => !target.startsWith('data:'))) {
    assert.match(part, /^\/docs\//)
    assert.equal((await gateway.get(part)).status, 200, part)
  }
})

test('a caller that hangs up cancels its upstream call, which only audit, log and metrics see', async (t) => {
  const up = await createRudeUpstream()
  t.after(() => up.close())
  const gateway = await gatewayFor(t, { adapters: [loopbackAdapter('up', up.origin)] })
  const body = JSON.stringify({ url: `${up.origin}/stalls-before-headers` })
  const caller = connect(gateway.port, '127.0.0.1')
  caller.write(
    `POST /v1/requests HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
  )
  await until('the upstream has it', () => up.received.length === 1)
  caller.destroy()
  await up.drained(1000)
  await until('it is audited', () => gateway.audit().some(({ kind, error }) => kind === 'result' && error === 'Cancelled'))
  assert.match(gateway.logs(), /"error":"Cancelled"/)
  assert.match(await gateway.metrics(), /error="Cancelled"|type="Cancelled"/)
})
