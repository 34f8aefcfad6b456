// Where a bound secret never goes: not to another origin, not through a redirect, an error, a retry, a proxy or another version of
// HTTP, and not over a connection that other credentials use. The canary is the secret; whatever an upstream received that it
// should not have is found by it, and whatever the gateway gave away is scanned when it stops.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { createSecureServer, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { type TestContext, test } from 'node:test'
import type { NewSecret } from '../../src/credentials/provision.ts'
import { CANARY, CANARY_TOKEN, findCanaries } from '../support/canary.ts'
import { certificates } from '../support/certificates.ts'
import { createConnectProxy } from '../support/connect-proxy.ts'
import { createRudeUpstream, type ReceivedRequest } from '../support/rude-upstream.ts'
import { gatewayFor, upstreamFor } from '../support/scene.ts'
import { redirectTo, type ScriptedUpstream, valuesOf } from '../support/scripted-upstream.ts'
import { loopbackAdapter, makeFolder } from '../support/wire.ts'

const made = certificates()

interface Kind {
  readonly scheme: NewSecret['scheme']
  readonly values: Readonly<Record<string, string>>
  /** The adapter's `credentials`, where the name alone does not do. */
  readonly places?: object
}

/** One for each place that a secret can stand in. */
const KINDS: readonly Kind[] = [
  { scheme: 'basic', values: { username: 'u', password: CANARY } },
  { scheme: 'bearer', values: { token: CANARY_TOKEN } },
  { scheme: 'header', values: { name: 'X-Api-Key', value: CANARY_TOKEN } },
  { scheme: 'query', values: { name: 'key', value: CANARY } },
  { scheme: 'placeholder', values: { token: CANARY_TOKEN }, places: { path: '/k{token}/**' } },
  { scheme: 'placeholder', values: { token: CANARY }, places: { body: { '/key': '{token}' } } },
]
const nameOf = ({ scheme, places }: Kind): string => (places ? `${scheme} in ${Object.keys(places).join()}` : scheme)

const stored = ({ scheme, values }: Kind, ...origins: string[]): NewSecret => ({
  name: 'it',
  scheme,
  values,
  origins,
  callers: ['*'],
})

const adapterOf = (kind: Kind, origin: string, over: object = {}): object =>
  loopbackAdapter('up', origin, {
    credentials: kind.places ? { secret: 'it', ...kind.places } : 'it',
    ...{ allowPlaintextSecrets: true, tls: { ca: 'test' } },
    ...over,
  })

/** All that arrived with a request, as it stood there. */
const textOf = ({ target, headers, body }: ReceivedRequest): string => [target, ...headers.flat(), body.toString()].join('\n')

const leaksTo = ({ received }: Pick<ScriptedUpstream, 'received'>): string[] => findCanaries(received.map(textOf).join('\n'))

const withBundle = (t: TestContext): { caBundles: object } => {
  const folder = makeFolder({ 'ca.pem': made.ca })
  t.after(folder.remove)
  return { caBundles: { test: folder.path('ca.pem') } }
}

/** With a JSON body, so that each kind has its place; a GET may have one. */
const ask = (url: string, more: object = {}) => ({ url, json: { a: 1 }, inspect: true, ...more })

for (const kind of KINDS) {
  test(`${nameOf(kind)}: redirects of every status take it to no other scheme, host, port or adapter`, async (t) => {
    const up = await upstreamFor(t)
    const port = await upstreamFor(t)
    const tls = await upstreamFor(t, { tls: made.good })
    const gateway = await gatewayFor(t, {
      adapters: [
        adapterOf(kind, up.origin),
        loopbackAdapter('host', `http://localhost:${up.port}`, { egress: { allow: ['127.0.0.0/8', '::1'] } }),
        loopbackAdapter('port', port.origin),
        loopbackAdapter('scheme', tls.origin, { tls: { ca: 'test' } }),
      ],
      config: withBundle(t),
      secrets: [stored(kind, up.origin)],
    })
    for (const status of [301, 302, 303, 307, 308]) {
      for (const to of [`http://localhost:${up.port}`, port.origin, tls.origin]) {
        const before = up.received.length
        up.answer((request) => (valuesOf(request, 'host')[0]?.startsWith('localhost') ? {} : redirectTo(`${to}/there`, status)))
        for (const method of ['GET', 'POST']) {
          const { envelope } = await gateway.call(ask(`${up.origin}/go`, { method }))
          assert.deepEqual([envelope.status, envelope.history.length], [200, 1], `${status} ${method} ${to}`)
        }
        const elsewhere = up.received.slice(before).filter((request) => valuesOf(request, 'host')[0]?.startsWith('localhost'))
        assert.deepEqual(leaksTo({ received: elsewhere }), [])
        assert.equal(elsewhere.length, to.includes('localhost') ? 2 : 0)
      }
    }
    assert.deepEqual([leaksTo(port), leaksTo(tls)], [[], []])
    assert.deepEqual([port.received.length, tls.received.length], [10, 10])
    // Home again, by way of another: what was led there by a stranger carries the adapter's own with GET and HEAD alone.
    up.answer(({ target }) => (target.includes('/go') ? redirectTo(`${port.origin}/back`, 307) : {}))
    port.answer(redirectTo(`${up.origin}/home`, 307))
    const { envelope } = await gateway.call(ask(`${up.origin}/go`, { method: 'POST' }))
    assert.deepEqual([envelope.error?.type, envelope.status], ['Forbidden', 307])
  })

  test(`${nameOf(kind)}: an origin that the secret does not name gets no call, by adapter or by descriptor`, async (t) => {
    const up = await upstreamFor(t)
    const echo = await upstreamFor(t)
    const gateway = await gatewayFor(t, {
      adapters: [adapterOf(kind, echo.origin), { ...loopbackAdapter('open', up.origin, { allowPlaintextSecrets: true }) }],
      config: withBundle(t),
      secrets: [stored(kind, 'https://elsewhere.example')],
    })
    for (const call of [ask(`${echo.origin}/p`), ask(`${up.origin}/p`, { auth: { secret: 'it' } })]) {
      for (const path of ['/v1/requests', '/v1/prepare']) {
        const { status, envelope } = await gateway.post(path, JSON.stringify(call))
        assert.deepEqual([status, envelope.error.type], [403, 'UnknownCredential'])
      }
    }
    assert.deepEqual([up.accepted(), echo.accepted()], [0, 0])
  })

  test(`${nameOf(kind)}: a try after the secret was bound elsewhere is not made`, async (t) => {
    let rebind = async (): Promise<unknown> => undefined
    const up = await createRudeUpstream({
      always: 'rebinds',
      behaviours: {
        rebinds: (socket) =>
          void rebind().then(() => socket.write('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n')),
      },
    })
    t.after(() => up.close())
    const gateway = await gatewayFor(t, {
      adapters: [adapterOf(kind, up.origin, { retry: { total: 3, backoffFactor: 1 } })],
      config: withBundle(t),
      secrets: [stored(kind, up.origin)],
    })
    rebind = () => gateway.provision(stored(kind, 'https://elsewhere.example'))
    const { status, envelope } = await gateway.call(ask(`${up.origin}/p`))
    assert.deepEqual([status, envelope.error.type, up.received.length], [403, 'UnknownCredential', 1])
    assert.match(envelope.error.message, /is not bound to/)
  })

  for (const scheme of ['http', 'https'] as const) {
    test(`${nameOf(kind)}: a proxy on the way to an ${scheme} upstream is shown nothing of it`, async (t) => {
      const up = await upstreamFor(t, scheme === 'https' ? { tls: made.good } : {})
      const proxy = await createConnectProxy({ to: up.port })
      t.after(() => proxy.close())
      const gateway = await gatewayFor(t, {
        adapters: [adapterOf(kind, up.origin, { proxy: { url: proxy.origin } })],
        config: withBundle(t),
        secrets: [stored(kind, up.origin)],
      })
      const { envelope } = await gateway.call(ask(`${up.origin}/p`))
      assert.deepEqual([envelope.status, leaksTo(up).length > 0], [200, true])
      assert.equal(proxy.asked.length, 1)
      assert.deepEqual(findCanaries(proxy.asked.flatMap(({ line, headers }) => [line, ...Object.values(headers)]).join('\n')), [])
      const path = new URL(up.origin).host
      assert.equal(proxy.asked[0]?.line, `CONNECT ${path} HTTP/1.1`)
    })
  }

  test(`${nameOf(kind)}: it goes to an unverified upstream only where the adapter says so, and is masked there too`, async (t) => {
    const up = await upstreamFor(t, { tls: made.selfSigned })
    const options = (tls: object) => ({
      adapters: [adapterOf(kind, up.origin, { tls })],
      config: withBundle(t),
      secrets: [stored(kind, up.origin)],
    })
    const strict = await gatewayFor(t, options({ allowInsecure: true }))
    const refused = await strict.call(ask(`${up.origin}/p`, { verify: false }))
    assert.deepEqual([refused.status, refused.envelope.error.type, up.accepted()], [403, 'Forbidden', 0])
    const loose = await gatewayFor(t, options({ allowInsecure: true, allowInsecureSecrets: true }))
    const { envelope } = await loose.call(ask(`${up.origin}/p`, { verify: false }))
    assert.deepEqual([envelope.status, leaksTo(up).length > 0], [200, true])
    assert.match(await loose.metrics(), /insecure/)
  })

  test(`${nameOf(kind)}: HTTP/2 carries it to its origin, and nothing shows it`, async (t) => {
    const server = createSecureServer({ ...made.good, allowHTTP1: false })
    const seen: string[] = []
    server.on('stream', (stream: ServerHttp2Stream, headers) => {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        seen.push([...Object.values(headers), Buffer.concat(chunks).toString()].join('\n'))
        stream.respond({ ':status': 200, 'content-type': 'text/plain' })
        stream.end('x')
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`
    const gateway = await gatewayFor(t, {
      adapters: [adapterOf(kind, origin, { pool: { http2: true } })],
      config: withBundle(t),
      secrets: [stored(kind, origin)],
    })
    t.after(() => server.close())
    for (const method of ['GET', 'POST']) {
      const { envelope } = await gateway.call(ask(`${origin}/p`, { method }))
      assert.equal(envelope.status, 200)
      assert.deepEqual(findCanaries(JSON.stringify(envelope)), [])
    }
    assert.deepEqual([seen.length, findCanaries(seen.join()).length > 0], [2, true])
  })
}

test('credentials do not share connections: each stored secret has its own, and so have the callers who bring theirs', async (t) => {
  const up = await upstreamFor(t)
  const keys = { ann: 'ann-key-0123456789', bob: 'bob-key-0123456789' }
  const may = [{ adapter: 'up' }]
  const gateway = await gatewayFor(t, {
    adapters: [loopbackAdapter('up', up.origin, { allowPlaintextSecrets: true })],
    config: { callers: [{ name: 'ann', keys: [keys.ann], may }, { name: 'bob', keys: [keys.bob], may }] }, // biome-ignore format: pairs
    secrets: ['a', 'b'].map((name) => ({ ...stored({ scheme: 'bearer', values: { token: CANARY_TOKEN } }, up.origin), name })),
  })
  const bearer = (token: string) => ({ auth: { type: 'bearer', token } })
  const calls: readonly (readonly [more: object, key: string, connection: number])[] = [
    [{}, keys.ann, 1],
    [{ auth: { secret: 'a' } }, keys.ann, 2],
    [{ auth: { secret: 'b' } }, keys.ann, 3],
    [bearer('one'), keys.ann, 4],
    [bearer('one'), keys.bob, 5],
    // The same secret, and no credential at all, are one scope for all callers.
    [{ auth: { secret: 'a' } }, keys.bob, 2],
    [{ auth: { secret: 'b' } }, keys.bob, 3],
    [bearer('two'), keys.ann, 4],
    [{}, keys.bob, 1],
    [bearer('two'), keys.bob, 5],
  ]
  for (const [more, key, connection] of calls) {
    const { envelope } = await gateway.call({ url: `${up.origin}/p`, ...more }, { headers: { 'x-sallyport-key': key } })
    assert.deepEqual([envelope.status, up.last().connection], [200, connection], JSON.stringify(more))
  }
  await gateway.provision({ ...stored({ scheme: 'bearer', values: { token: `${CANARY_TOKEN}.two` } }, up.origin), name: 'a' })
  await gateway.call({ url: `${up.origin}/p`, auth: { secret: 'a' } }, { headers: { 'x-sallyport-key': keys.ann } })
  assert.deepEqual([valuesOf(up.last(), 'authorization'), up.last().connection], [[`Bearer ${CANARY_TOKEN}.two`], 2])
  assert.equal(up.accepted(), 5)
})

test('a call that goes back and forth between two gateways ends, since each leg uses up a level of its descriptor', async (t) => {
  const up = await upstreamFor(t)
  // Each opens the other, which neither can know to be a gateway; its own port neither dials.
  const open = (name: string, origin: string) => loopbackAdapter(name, origin)
  const first = await gatewayFor(t, { adapters: [open('up', up.origin)] })
  const second = await gatewayFor(t, { adapters: [open('first', first.url), open('up', up.origin)] })
  await first.reload({ adapters: [open('up', up.origin), open('second', second.url), open('self', first.url)] })
  const own = await first.call({ url: `${first.url}/v1/requests`, method: 'POST', json: { url: up.origin } })
  assert.deepEqual([own.status, own.envelope.error.type], [403, 'EgressDenied'])
  const legs = 12
  let descriptor: object = { url: up.origin }
  for (let leg = 0; leg < legs; leg++)
    descriptor = { url: `${leg % 2 === 0 ? first.url : second.url}/v1/requests`, method: 'POST', json: descriptor }
  const { envelope } = await first.call(descriptor)
  assert.deepEqual([envelope.status, up.received.length], [200, 1])
  const calls = [...first.audit(), ...second.audit()].filter(({ kind }) => kind === 'intent').length
  assert.equal(calls, legs + 2)
})
