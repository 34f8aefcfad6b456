// Upstream proxies: every call through one is a tunnel (CONNECT), the target is judged here, and what the proxy does wrong is
// ProxyError, never the upstream's failure.
import assert from 'node:assert/strict'
import { it, type TestContext } from 'node:test'
import { CANARY_TOKEN } from '../support/canary.ts'
import { certificates } from '../support/certificates.ts'
import { answers, type ConnectProxy, type ConnectProxyOptions, createConnectProxy, works } from '../support/connect-proxy.ts'
import { freePort } from '../support/free-port.ts'
import { startGateway, type TestGateway } from '../support/gateway.ts'
import { createBlackHole, createRudeUpstream, type RudeUpstream } from '../support/rude-upstream.ts'
import { assertFreed, loopbackAdapter, makeFolder, startStopwatch, stateOf, until } from '../support/wire.ts'

const made = certificates()

interface Scene {
  readonly proxy: ConnectProxy
  readonly upstream: RudeUpstream
  readonly gateway: TestGateway
  readonly url: string
}

interface SceneOptions {
  readonly tls?: boolean
  readonly adapter?: object
  /** Keys of `proxy` beside its url. */
  readonly via?: object
  readonly proxy?: ConnectProxyOptions
  /** The proxy's login. */
  readonly login?: { readonly username: string; readonly password: string }
  readonly host?: string
}

const LOOPBACK = { egress: { allow: ['127.0.0.0/8', '::1/128'] } }

async function scene(
  t: TestContext,
  { tls = false, adapter = {}, via = {}, host = '127.0.0.1', ...rest }: SceneOptions = {},
): Promise<Scene> {
  const folder = makeFolder({ 'ca.pem': made.ca })
  t.after(folder.remove)
  const upstream = await createRudeUpstream(tls ? { tls: made.good } : {})
  t.after(() => upstream.close())
  const proxy = await createConnectProxy({ to: upstream.port, ...rest.proxy })
  t.after(() => proxy.close())
  const origin = upstream.origin.replace('127.0.0.1', host)
  const through = loopbackAdapter('through', origin, {
    ...LOOPBACK,
    ...{ tls: { ca: 'test' }, proxy: { url: proxy.origin, ...(rest.login ? { credentials: 'login' } : {}), ...via } },
    ...adapter,
  })
  const gateway = await startGateway({
    adapters: [through],
    config: { caBundles: { test: folder.path('ca.pem') } },
    secrets: rest.login
      ? [{ name: 'login', scheme: 'proxy-basic', values: rest.login, origins: [proxy.origin], callers: ['*'] }]
      : [],
  })
  t.after(() => gateway.stop())
  return { proxy, upstream, gateway, url: `${origin}/ok` }
}

for (const tls of [false, true]) {
  const scheme = tls ? 'https' : 'http'
  it(`an ${scheme} target is reached through CONNECT, and the tunnel is kept`, async (t) => {
    const { proxy, upstream, gateway, url } = await scene(t, { tls })
    for (const reused of [false, true]) {
      const { envelope } = await gateway.call({ url })
      assert.deepEqual([envelope.status, envelope.json, envelope.warnings], [200, { hello: 'world' }, []])
      assert.equal(envelope.attempts[0].reused, reused)
    }
    assert.deepEqual(
      proxy.asked.map(({ line }) => line),
      [`CONNECT 127.0.0.1:${upstream.port} HTTP/1.1`],
    )
    assert.deepEqual(Object.keys(proxy.asked[0]?.headers ?? {}).sort(), ['connection', 'host'])
    assert.equal(proxy.asked[0]?.headers.host, `127.0.0.1:${upstream.port}`)
    for (const { headers } of upstream.received) assert.ok(!headers.some(([name]) => /^proxy/i.test(name)))
    assert.deepEqual(await stateOf(gateway, 'through'), { connections: 1, idle: 1, slots: 0, queued: 0 })
  })
}

it('resolved here, the judged address is named, and Host and SNI keep the name', async (t) => {
  const { proxy, upstream, gateway, url } = await scene(t, { tls: true, host: 'localhost' })
  const { envelope } = await gateway.call({ url })
  assert.deepEqual([envelope.status, envelope.error], [200, null])
  assert.equal(proxy.asked[0]?.line, `CONNECT 127.0.0.1:${upstream.port} HTTP/1.1`)
  assert.ok(
    upstream.received[0]?.headers.some(
      ([name, value]) => name.toLowerCase() === 'host' && value === `localhost:${upstream.port}`,
    ),
  )
})

it('with resolve: remote the proxy gets the name, whatever it leads to', async (t) => {
  const { proxy, gateway, upstream } = await scene(t, { via: { resolve: 'remote' }, host: 'only-the-proxy-knows.internal' })
  const { envelope } = await gateway.call({ url: `http://only-the-proxy-knows.internal:${upstream.port}/ok` })
  assert.deepEqual([envelope.status, envelope.error], [200, null])
  assert.equal(proxy.asked[0]?.line, `CONNECT only-the-proxy-knows.internal:${upstream.port} HTTP/1.1`)
})

it('a target that may not be dialled is EgressDenied, and the proxy hears nothing of it; a literal under remote too', async (t) => {
  for (const via of [{}, { resolve: 'remote' }]) {
    const { proxy, gateway, url } = await scene(t, { via, host: '10.9.8.7' })
    const { status, envelope } = await gateway.call({ url })
    assert.deepEqual([status, envelope.error.type, envelope.attempts.length], [403, 'EgressDenied', 1])
    assert.match(envelope.error.message, /10\.9\.8\.7 leads to no address that adapter through may dial/)
    assert.deepEqual([proxy.asked.length, proxy.open], [0, 0])
  }
})

it("the proxy's own address is judged too", async (t) => {
  const { gateway, url } = await scene(t, { via: { url: 'http://10.9.8.7:3128' } })
  const { status, envelope } = await gateway.call({ url })
  assert.deepEqual([status, envelope.error.type, envelope.error.sent], [403, 'EgressDenied', 'no'])
})

it('its login is sent to it and to nobody else', async (t) => {
  const { proxy, upstream, gateway, url } = await scene(t, { login: { username: 'gate', password: CANARY_TOKEN } })
  proxy.behave((ask, socket, tunnel) => {
    if (ask.headers['proxy-authorization'] === `Basic ${btoa(`gate:${CANARY_TOKEN}`)}`) tunnel()
    else socket.write('HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n')
  })
  const { envelope } = await gateway.call({ url })
  assert.deepEqual([envelope.status, envelope.error], [200, null])
  assert.ok(!JSON.stringify(upstream.received).includes('uthorization'))
})

it('a login that it does not take, and one that is missing, are told apart', async (t) => {
  const wants = answers(
    'HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm="x"\r\nContent-Length: 4\r\n\r\nnope',
  )
  const without = await scene(t)
  without.proxy.behave(wants)
  const missing = await without.gateway.call({ url: without.url })
  assert.deepEqual([missing.status, missing.envelope.error.type, missing.envelope.error.sent], [502, 'ProxyError', 'no'])
  assert.match(missing.envelope.error.message, /wants credentials \(407\); name a proxy-basic secret under proxy\.credentials/)
  const wrong = await scene(t, { login: { username: 'gate', password: 'wrong' } })
  wrong.proxy.behave(wants)
  const refused = await wrong.gateway.call({ url: wrong.url })
  assert.equal(refused.envelope.error.type, 'ProxyError')
  assert.match(refused.envelope.error.message, /does not take the credentials of secret "login" \(407\)/)
  for (const { gateway, proxy } of [without, wrong]) {
    await until('its connections are gone', () => proxy.open === 0)
    await assertFreed(gateway, 'through')
  }
})

interface Bad {
  readonly name: string
  readonly behaviour: Parameters<ConnectProxy['behave']>[0]
  readonly message: RegExp
}
const BAD: readonly Bad[] = [
  {
    name: 'refuses with 403',
    behaviour: answers('HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n'),
    message: /refused the connection with status 403/,
  },
  {
    name: 'refuses with 502',
    behaviour: answers('HTTP/1.1 502 No\r\nContent-Length: 3\r\n\r\nbad'),
    message: /refused the connection with status 502/,
  },
  { name: 'redirects', behaviour: answers('HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\n\r\n'), message: /status 302/ },
  {
    name: 'answers garbage',
    behaviour: answers('220 mail.example.com ESMTP\r\n'),
    message: /the proxy 127\.0\.0\.1 \(port \d+\).*not HTTP/,
  },
  { name: 'closes', behaviour: (_ask, socket) => socket.end(), message: /the proxy 127\.0\.0\.1 \(port \d+\) closed/ },
  { name: 'resets', behaviour: (_ask, socket) => socket.resetAndDestroy(), message: /the proxy 127\.0\.0\.1 \(port \d+\)/ },
  {
    name: 'closes in the head',
    behaviour: (_ask, socket) => socket.end('HTTP/1.1 200 OK\r\nVia: '),
    message: /the proxy 127\.0\.0\.1/,
  },
  {
    name: 'has an endless head',
    behaviour: answers(`HTTP/1.1 200 OK\r\nX: ${'x'.repeat(100_000)}`),
    message: /the proxy 127\.0\.0\.1/,
  },
]
for (const { name, behaviour, message } of BAD) {
  it(`a proxy that ${name} is ProxyError, sent no, and even a POST is tried again`, async (t) => {
    const { proxy, upstream, gateway, url } = await scene(t, { adapter: { retry: { total: 1, backoffFactor: '1ms' } } })
    proxy.behave(behaviour)
    const { status, envelope } = await gateway.call({ url, method: 'POST', data: 'x' })
    assert.deepEqual([status, envelope.error.type, envelope.error.sent], [502, 'ProxyError', 'no'], envelope.error.message)
    assert.deepEqual([envelope.source, envelope.status, envelope.error.retryable], ['upstream', null, true])
    assert.match(envelope.error.message, message)
    assert.deepEqual(
      envelope.attempts.map((attempt: { error: string; sent: string }) => [attempt.error, attempt.sent]),
      [
        ['ProxyError', 'no'],
        ['ProxyError', 'no'],
      ],
    )
    assert.equal(upstream.received.length, 0)
    await until('its connections are gone', () => proxy.open === 0)
    await assertFreed(gateway, 'through')
    proxy.behave(works)
    assert.equal((await gateway.call({ url })).envelope.status, 200)
  })
}

it('a proxy that is not there is ProxyError', async (t) => {
  const { gateway, url } = await scene(t, { via: { url: `http://127.0.0.1:${await freePort()}` } })
  const { status, envelope } = await gateway.call({ url })
  assert.deepEqual([status, envelope.error.type, envelope.error.sent], [502, 'ProxyError', 'no'])
  assert.match(envelope.error.message, /connection refused by the proxy 127\.0\.0\.1/)
})

it('whatever a proxy is slow in is under the connect clock, which says what was waited for', async (t) => {
  const hole = await createBlackHole()
  t.after(() => hole.close())
  const slow = await scene(t)
  slow.proxy.behave(() => {})
  const unreachable = await scene(t, { via: { url: `http://127.0.0.1:${hole.port}` } })
  const cases = [
    { ...slow, message: /waiting for the proxy to connect/ },
    { ...unreachable, message: /waiting for the proxy/ },
  ]
  for (const { gateway, url, proxy, message } of cases) {
    const watch = startStopwatch()
    const { status, envelope } = await gateway.call({ url, timeout: { connect: 150 } })
    watch.assertEndedAfter(150)
    assert.deepEqual([status, envelope.error.type, envelope.error.sent], [504, 'ConnectTimeout', 'no'])
    assert.match(envelope.error.message, message)
    await until('its connections are gone', () => proxy.open === 0)
    await assertFreed(gateway, 'through')
  }
})

it('a caller who hangs up while the proxy connects leaves nothing behind', async (t) => {
  const { gateway, url, proxy } = await scene(t)
  proxy.behave(() => {})
  const hangUp = new AbortController()
  const call = gateway.call({ url }, { signal: hangUp.signal })
  await until('it was asked', () => proxy.asked.length === 1)
  hangUp.abort()
  await assert.rejects(call)
  await until('its connection is gone', () => proxy.open === 0)
  await assertFreed(gateway, 'through')
})

it("behind the tunnel the upstream's failures are its own", async (t) => {
  const plain = await scene(t)
  const reset = await plain.gateway.call({ url: plain.url.replace('/ok', '/resets-before-headers') })
  assert.deepEqual([reset.envelope.error.type, reset.envelope.error.sent], ['ConnectionError', 'maybe'])
  const short = await plain.gateway.call({ url: plain.url.replace('/ok', '/short-body') })
  assert.equal(short.envelope.error.type, 'ChunkedEncodingError')
  const stalled = await plain.gateway.call({ url: plain.url.replace('/ok', '/stalls-in-body'), timeout: { read: 100 } })
  assert.equal(stalled.envelope.error.type, 'ReadTimeout')
  const untrusted = await scene(t, { tls: true, adapter: { tls: {} } })
  const { envelope } = await untrusted.gateway.call({ url: untrusted.url })
  assert.deepEqual([envelope.error.type, envelope.error.sent], ['SSLError', 'no'])
  await assertFreed(untrusted.gateway, 'through')
})

it('a proxy may be spoken to over TLS, and its certificate is checked', async (t) => {
  const { gateway, url } = await scene(t, { proxy: { tls: made.good }, tls: true })
  const { envelope } = await gateway.call({ url })
  assert.deepEqual([envelope.status, envelope.error], [200, null], envelope.error?.message)
  const expired = await scene(t, { proxy: { tls: made.expired } })
  const refused = await expired.gateway.call({ url: expired.url })
  assert.deepEqual([refused.status, refused.envelope.error.type], [502, 'ProxyError'])
  assert.match(refused.envelope.error.message, /the certificate of the proxy .* has expired/)
})
