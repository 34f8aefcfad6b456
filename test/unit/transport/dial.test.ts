import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Server, Socket } from 'node:net'
import { describe, test } from 'node:test'
import { createServer as createTlsServer } from 'node:tls'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import type { AdapterPolicy } from '../../../src/model/adapter-policy.ts'
import type { Secret } from '../../../src/model/ports.ts'
import type { TransportPorts } from '../../../src/transport/ports.ts'
import { connectTcp } from '../../../src/transport/race-addresses.ts'
import { certificates } from '../../support/certificates.ts'
import { createRudeUpstream } from '../../support/rude-upstream.ts'
import { aCaller, LOOPBACK_ALLOWED } from './support.ts'

const HELLO = '{"hello":"world"}'
const stranger = { name: 'billing', admin: false, may: [] }

function secret(scheme: Secret['scheme'], values: Record<string, string>, version = 1): Secret {
  return { name: `a-${scheme}`, version, scheme, values, origins: [], callers: [] }
}

async function failure(work: Promise<unknown>): Promise<GatewayError> {
  const error = await work.then(
    () => assert.fail('expected a failure'),
    (thrown) => thrown,
  )
  assert.ok(error instanceof GatewayError, String(error))
  return error
}

/** A dialler that notes where it should have connected to, and never sends a packet. */
function noDial(): { readonly dialled: string[]; readonly connectTcp: NonNullable<TransportPorts['connectTcp']> } {
  const dialled: string[] = []
  return {
    dialled,
    connectTcp(address) {
      dialled.push(address)
      const socket = new Socket()
      process.nextTick(() => socket.destroy(Object.assign(new Error('refused'), { code: 'ECONNREFUSED' })))
      return socket
    },
  }
}

const strict: AdapterPolicy['egress'] = { allow: [], allowMetadata: [], ports: null, mixedAnswers: 'refuse' }

describe('an address is judged before it is dialled', () => {
  const cases: readonly {
    readonly name: string
    readonly origin: string
    readonly answers?: readonly string[]
    readonly egress?: Partial<AdapterPolicy['egress']>
    readonly dials: readonly string[]
  }[] = [
    { name: 'a public answer', origin: 'http://api.example.com', answers: ['93.184.216.34'], dials: ['93.184.216.34'] },
    { name: 'a private answer', origin: 'http://api.example.com', answers: ['10.1.2.3'], dials: [] },
    {
      name: 'a private answer among public ones',
      origin: 'http://api.example.com',
      answers: ['93.184.216.34', '10.1.2.3'],
      dials: [],
    },
    {
      name: 'the same with mixedAnswers: filter',
      origin: 'http://api.example.com',
      answers: ['10.1.2.3', '93.184.216.34'],
      egress: { mixedAnswers: 'filter' },
      dials: ['93.184.216.34'],
    },
    {
      name: 'a listed answer',
      origin: 'http://api.example.com',
      answers: ['10.1.2.3'],
      egress: { allow: ['10.1.2.0/24'] },
      dials: ['10.1.2.3'],
    },
    { name: 'a literal', origin: 'http://127.0.0.1', dials: [] },
    { name: 'a mapped literal', origin: 'http://[::ffff:127.0.0.1]', dials: [] },
    { name: 'a mapped public literal, dialled as what it is', origin: 'http://[::ffff:93.184.216.34]', dials: ['93.184.216.34'] },
    {
      name: 'the metadata service in a listed range',
      origin: 'http://169.254.169.254',
      egress: { allow: ['0.0.0.0/0'] },
      dials: [],
    },
    { name: 'an answer that is no address', origin: 'http://api.example.com', answers: ['not-an-address'], dials: [] },
    {
      name: 'both families, taking turns',
      origin: 'http://api.example.com',
      answers: ['2606:4700::1', '2606:4700::2', '93.184.216.34'],
      dials: ['2606:4700::1', '93.184.216.34', '2606:4700::2'],
    },
  ]
  for (const { name, origin, answers = [], egress, dials } of cases) {
    test(`${name} → ${dials.length === 0 ? 'denied' : `dials ${dials.join(', ')}`}`, async () => {
      const { dialled, connectTcp } = noDial()
      const resolver = { resolve: async () => answers, close() {} }
      const caller = aCaller(origin, { adapter: { egress: { ...strict, ...egress } }, ports: { connectTcp, resolver } })
      const error = await failure(caller.transport.dispatch(caller.request('/'), caller.context()))
      assert.equal(error.type, dials.length === 0 ? 'EgressDenied' : 'ConnectionError', error.message)
      assert.equal(error.sent, 'no')
      assert.deepEqual(dialled, dials)
      assert.equal(caller.clock.pending, 0)
      assert.deepEqual(caller.transport.sample(), { connections: 0, idle: 0 })
    })
  }

  test("the gateway's own listeners are never dialled, listed or not", async () => {
    const { dialled, connectTcp } = noDial()
    const ownListeners = { has: (address: string, port: number) => address === '127.0.0.1' && port === 8080 }
    const caller = aCaller('http://127.0.0.1:8080', { ports: { connectTcp, ownListeners } })
    const error = await failure(caller.transport.dispatch(caller.request('/'), caller.context()))
    assert.equal(error.type, 'EgressDenied')
    assert.match(error.privateDetail ?? '', /own listener/)
    assert.deepEqual(dialled, [])
  })

  test('a denial tells the caller no address, and administrators which and why', async () => {
    const { connectTcp } = noDial()
    const resolver = { resolve: async () => ['10.1.2.3'], close() {} }
    const caller = aCaller('http://api.example.com', { adapter: { egress: strict }, ports: { connectTcp, resolver } })
    const error = await failure(caller.transport.dispatch(caller.request('/'), caller.context()))
    assert.match(error.message, /api\.example\.com .* adapter example .* egress\.allow/)
    assert.doesNotMatch(error.message, /10\.1\.2\.3|private/)
    assert.equal(error.privateDetail, '10.1.2.3 is private (RFC 1918)')
  })

  test('under a catch-all a stranger cannot tell a name that does not resolve from one that is refused', async () => {
    const outcome = async (answers: readonly string[]) => {
      const { connectTcp } = noDial()
      const resolver = { resolve: async () => answers, close() {} }
      const adapter = { mount: 'http://', egress: strict }
      const caller = aCaller('http://vault.internal', { adapter, ports: { connectTcp, resolver } })
      const { type, message, status, sent, detail } = await failure(
        caller.transport.dispatch(caller.request('/'), caller.context({ caller: stranger })),
      )
      return { type, message, status, sent, detail }
    }
    assert.deepEqual(await outcome([]), await outcome(['10.1.2.3']))
  })

  test('elsewhere, and to administrators, a name that does not resolve is ConnectionError', async () => {
    for (const [mount, who] of [
      ['http://vault.internal/', stranger],
      ['http://', { name: 'ops', admin: true, may: null }],
    ] as const) {
      const resolver = { resolve: async () => [], close() {} }
      const caller = aCaller('http://vault.internal', { adapter: { mount }, ports: { resolver } })
      const error = await failure(caller.transport.dispatch(caller.request('/'), caller.context({ caller: who })))
      assert.equal(error.type, 'ConnectionError')
      assert.equal(error.message, 'vault.internal does not resolve; check the name')
    }
  })

  test('the connect clock covers a resolver that never answers', async () => {
    const resolver = { resolve: () => new Promise<never>(() => {}), close() {} }
    const caller = aCaller('http://api.example.com', { ports: { resolver } })
    const error = await failure(caller.transport.dispatch(caller.request('/', { plan: { connectMs: 60 } }), caller.context()))
    assert.equal(error.type, 'ConnectTimeout')
    assert.match(error.message, /within 60 ms: waiting for its name to resolve/)
    assert.equal(caller.clock.pending, 0)
  })

  test('an address that does not answer is overtaken by the next after 250 ms', async (t) => {
    const upstream = await createRudeUpstream()
    t.after(() => upstream.close())
    const silent: Socket[] = []
    const caller = aCaller(`http://localhost:${upstream.port}`, {
      adapter: { egress: { ...LOOPBACK_ALLOWED, allow: ['127.0.0.0/8', '::1'] } },
      ports: {
        resolver: { resolve: async () => ['::1', '127.0.0.1'], close() {} },
        connectTcp(address, port) {
          if (address === '127.0.0.1') return connectTcp(address, port)
          silent.push(new Socket())
          return silent[0] ?? new Socket()
        },
      },
    })
    const context = caller.context()
    const begun = performance.now()
    await caller.transport.dispatch(caller.request('/ok'), context)
    assert.ok(performance.now() - begun >= 245)
    assert.equal(context.trail.attempts[0]?.address, '127.0.0.1')
    assert.equal(silent[0]?.destroyed, true)
    await caller.transport.close()
    assert.equal(caller.clock.pending, 0)
  })
})

describe('TLS', () => {
  const { ca, client } = certificates()
  const caBundle = (name: string): string => (name === 'test' ? ca : assert.fail(name))

  const faults = [
    ['good', 'test', true, null],
    ['good', null, true, /not trusted; name the CA bundle with verify/],
    ['expired', 'test', true, /expired/],
    ['notYetValid', 'test', true, /not valid yet/],
    ['selfSigned', 'test', true, /self-signed/],
    ['wrongHost', 'test', true, /for another host/],
    ['unknownIssuer', 'test', true, /not trusted/],
    ['expired', null, false, null],
    ['wrongHost', null, false, null],
  ] as const
  for (const [which, bundle, verify, says] of faults) {
    test(`with the certificate ${which}, CA ${bundle}, verify ${verify}: ${says === null ? 'goes through' : says.source}`, async (t) => {
      const upstream = await createRudeUpstream({ tls: certificates()[which] })
      t.after(() => upstream.close())
      const caller = aCaller(`https://localhost:${upstream.port}`, { ports: { caBundle } })
      const answer = caller.transport.dispatch(
        caller.request('/ok', { plan: { tls: { verify, ca: bundle, cert: null } } }),
        caller.context(),
      )
      if (says === null) assert.equal((await answer).body.toString(), HELLO)
      else {
        const error = await failure(answer)
        assert.equal(error.type, 'SSLError')
        assert.match(error.message, says)
        assert.equal(error.sent, 'no')
        assert.equal(upstream.received.length, 0)
      }
      await caller.transport.close()
      await upstream.drained()
      assert.equal(caller.clock.pending, 0)
    })
  }

  test('an unverified connection is never used for a verified request, nor the other way round', async (t) => {
    const upstream = await createRudeUpstream({ tls: certificates().good })
    t.after(() => upstream.close())
    const caller = aCaller(`https://localhost:${upstream.port}`, { ports: { caBundle } })
    const send = (tls: { verify: boolean; ca: string | null; cert: null }) =>
      caller.transport.dispatch(caller.request('/ok', { plan: { tls } }), caller.context())
    await send({ verify: false, ca: null, cert: null })
    assert.equal((await failure(send({ verify: true, ca: null, cert: null }))).type, 'SSLError')
    await send({ verify: true, ca: 'test', cert: null })
    await send({ verify: false, ca: null, cert: null })
    await send({ verify: true, ca: 'test', cert: null })
    assert.deepEqual(
      upstream.received.map(({ connection }) => connection),
      [1, 2, 1, 2],
    )
    await caller.transport.close()
  })

  test('a handshake that never ends is ConnectTimeout, saying so', async (t) => {
    const upstream = await createRudeUpstream({ tls: certificates().good, onConnect: 'says-nothing' })
    t.after(() => upstream.close())
    const caller = aCaller(upstream.origin)
    const error = await failure(caller.transport.dispatch(caller.request('/', { plan: { connectMs: 100 } }), caller.context()))
    assert.equal(error.type, 'ConnectTimeout')
    assert.match(error.message, /in the TLS handshake/)
    await upstream.drained()
    assert.equal(caller.clock.pending, 0)
  })

  test('a server that speaks no TLS is SSLError; one that hangs up is ConnectionError', async (t) => {
    for (const [onConnect, type] of [
      ['speaks-first', 'SSLError'],
      ['closes', 'ConnectionError'],
    ] as const) {
      const upstream = await createRudeUpstream({ onConnect })
      t.after(() => upstream.close())
      const caller = aCaller(`https://127.0.0.1:${upstream.port}`)
      const error = await failure(caller.transport.dispatch(caller.request('/'), caller.context()))
      assert.equal(error.type, type, error.message)
      assert.equal(error.sent, 'no')
      await upstream.drained()
    }
  })

  test('a server below TLS 1.2 is refused', async (t) => {
    const old = createTlsServer({
      ...certificates().good,
      minVersion: 'TLSv1',
      maxVersion: 'TLSv1.1',
      ciphers: 'DEFAULT@SECLEVEL=0',
    })
    old.on('tlsClientError', () => {})
    const port = await listening(old)
    t.after(() => old.close())
    const caller = aCaller(`https://localhost:${port}`, { ports: { caBundle } })
    const error = await failure(
      caller.transport.dispatch(
        caller.request('/', { plan: { tls: { verify: true, ca: 'test', cert: null } } }),
        caller.context(),
      ),
    )
    assert.equal(error.type, 'SSLError')
    assert.match(error.message, /no TLS of version 1\.2/)
  })

  describe('with a client certificate', () => {
    const tls = { ...certificates().good, ca, requestCert: true }
    const withCert = { verify: true, ca: 'test', cert: 'client' }

    test('proves who the gateway is, for callers who may use it', async (t) => {
      const upstream = await createRudeUpstream({ tls })
      t.after(() => upstream.close())
      const asked: unknown[] = []
      const secrets = {
        find(name: string, use: { readonly origin: string; readonly caller: string }) {
          asked.push([name, use])
          if (use.caller !== 'local') throw new GatewayError('UnknownCredential', `no certificate ${name} for ${use.caller}`)
          return secret('mtls', { cert: client.cert, key: client.key })
        },
      }
      const origin = `https://localhost:${upstream.port}`
      const caller = aCaller(origin, { ports: { caBundle, secrets } })
      const request = caller.request('/ok', { plan: { tls: withCert } })
      assert.equal((await caller.transport.dispatch(request, caller.context())).body.toString(), HELLO)
      assert.deepEqual(asked, [['client', { origin, caller: 'local' }]])
      // The connection stands open and idle, but a caller who may not use the certificate does not get it.
      const error = await failure(caller.transport.dispatch(request, caller.context({ caller: stranger })))
      assert.equal(error.type, 'UnknownCredential')
      await caller.transport.close()
    })

    test('that is wanted and not given is SSLError', async (t) => {
      const upstream = await createRudeUpstream({ tls })
      t.after(() => upstream.close())
      const caller = aCaller(`https://localhost:${upstream.port}`, { ports: { caBundle } })
      const plan = { tls: { verify: true, ca: 'test', cert: null } }
      const error = await failure(caller.transport.dispatch(caller.request('/ok', { plan }), caller.context()))
      assert.equal(error.type, 'SSLError', error.message)
      assert.match(error.message, /wants a client certificate/)
    })

    test('that cannot be used is SSLError and leaves no socket', async (t) => {
      const upstream = await createRudeUpstream({ tls })
      t.after(() => upstream.close())
      const secrets = { find: () => secret('mtls', { cert: client.cert, key: 'no key at all' }) }
      const caller = aCaller(`https://localhost:${upstream.port}`, { ports: { caBundle, secrets } })
      const error = await failure(caller.transport.dispatch(caller.request('/ok', { plan: { tls: withCert } }), caller.context()))
      assert.equal(error.type, 'SSLError', error.message)
      assert.match(error.message, /certificates configured .* cannot be used/)
      await upstream.drained()
    })

    test('that was replaced makes a connection of its own', async (t) => {
      const upstream = await createRudeUpstream({ tls })
      t.after(() => upstream.close())
      let version = 1
      const secrets = { find: () => secret('mtls', { cert: client.cert, key: client.key }, version) }
      const caller = aCaller(`https://localhost:${upstream.port}`, { ports: { caBundle, secrets } })
      const send = () => caller.transport.dispatch(caller.request('/ok', { plan: { tls: withCert } }), caller.context())
      await send()
      version = 2
      await send()
      await send()
      assert.deepEqual(
        upstream.received.map(({ connection }) => connection),
        [1, 2, 2],
      )
      await caller.transport.close()
    })
  })
})

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : assert.fail('no port')
}

interface Proxy {
  readonly url: string
  readonly heads: string[]
  close(): Promise<unknown>
}

/** Answers CONNECT with `status`; with 200 it connects to `to`, whatever was asked for. */
async function createProxy(to: number, statusFor: (head: string) => number | 'garbage' | 'silence'): Promise<Proxy> {
  const heads: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    socket.once('data', (chunk) => {
      const head = chunk.toString('latin1')
      heads.push(head)
      const status = statusFor(head)
      if (status === 'silence') return
      if (status === 'garbage') return socket.end('what?\r\n\r\n')
      if (status !== 200) return socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 0\r\n\r\n`)
      const onward = connectTcp('127.0.0.1', to).on('error', () => {})
      sockets.add(onward)
      socket.write('HTTP/1.1 200 Connection established\r\n\r\n')
      socket.pipe(onward).pipe(socket)
    })
  })
  const port = await listening(server)
  return {
    url: `http://127.0.0.1:${port}`,
    heads,
    close() {
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => server.close(resolve))
    },
  }
}

describe('through an upstream proxy', () => {
  const target = { resolve: async (name: string) => (name === 'localhost' ? ['93.184.216.34'] : []), close() {} }
  const through = (url: string, over: Partial<NonNullable<AdapterPolicy['proxy']>> = {}) => ({
    proxy: { url, credentials: null, resolve: 'local' as const, ...over },
  })

  for (const scheme of ['http', 'https'] as const) {
    test(`${scheme}: CONNECT names the judged address, SNI and Host keep the name`, async (t) => {
      const upstream = await createRudeUpstream(scheme === 'https' ? { tls: certificates().good } : {})
      const proxy = await createProxy(upstream.port, () => 200)
      t.after(async () => {
        await proxy.close()
        await upstream.close()
      })
      const secrets = { find: () => secret('proxy-basic', { username: 'user', password: 'pass' }) }
      const caller = aCaller(`${scheme}://localhost:${upstream.port}`, {
        adapter: through(proxy.url, { credentials: 'proxy-login' }),
        ports: { resolver: target, caBundle: () => certificates().ca, secrets },
      })
      const context = caller.context()
      const plan = { tls: { verify: true, ca: 'test', cert: null } }
      assert.equal((await caller.transport.dispatch(caller.request('/ok', { plan }), context)).body.toString(), HELLO)
      const [head = ''] = proxy.heads
      assert.match(head, new RegExp(`^CONNECT 93\\.184\\.216\\.34:${upstream.port} HTTP/1\\.1\r\n`))
      assert.match(head, /\r\nproxy-authorization: Basic dXNlcjpwYXNz\r\n/)
      assert.deepEqual(upstream.received[0]?.headers[0], ['host', `localhost:${upstream.port}`])
      assert.equal(context.trail.attempts[0]?.address, '127.0.0.1')
      await caller.transport.dispatch(caller.request('/ok', { plan }), caller.context())
      assert.equal(proxy.heads.length, 1)
      await caller.transport.close()
      await upstream.drained()
    })
  }

  test('with resolve: remote, CONNECT names the name, and a literal is judged all the same', async (t) => {
    const upstream = await createRudeUpstream()
    const proxy = await createProxy(upstream.port, () => 200)
    t.after(async () => {
      await proxy.close()
      await upstream.close()
    })
    const adapter = through(proxy.url, { resolve: 'remote' })
    const caller = aCaller('http://inside.example', { adapter, ports: { resolver: target } })
    await caller.transport.dispatch(caller.request('/ok'), caller.context())
    assert.match(proxy.heads[0] ?? '', /^CONNECT inside\.example:80 /)
    await caller.transport.close()
    const literal = aCaller('http://169.254.169.254', { adapter, ports: { resolver: target } })
    assert.equal((await failure(literal.transport.dispatch(literal.request('/'), literal.context()))).type, 'EgressDenied')
    assert.equal(proxy.heads.length, 1)
  })

  test('an address that the proxy cannot reach is followed by the next, IPv4 first', async (t) => {
    const upstream = await createRudeUpstream()
    const proxy = await createProxy(upstream.port, (head) => (head.includes('93.184.216.34') ? 503 : 200))
    t.after(async () => {
      await proxy.close()
      await upstream.close()
    })
    const resolver = { resolve: async () => ['2606:4700::1', '93.184.216.34'], close() {} }
    const caller = aCaller('http://api.example.com', { adapter: through(proxy.url), ports: { resolver } })
    await caller.transport.dispatch(caller.request('/ok'), caller.context())
    assert.deepEqual(
      proxy.heads.map((head) => head.split(' ')[1]),
      ['93.184.216.34:80', '[2606:4700::1]:80'],
    )
    await caller.transport.close()
  })

  const refusals = [
    [407, 'ProxyError', /wants credentials \(407\)/],
    [403, 'ProxyError', /status 403/],
    [502, 'ProxyError', /status 502/],
    ['garbage', 'ProxyError', /the proxy 127\.0\.0\.1/],
    ['silence', 'ConnectTimeout', /waiting for the proxy to connect/],
  ] as const
  for (const [status, type, says] of refusals) {
    test(`that answers ${status}: ${type}`, async (t) => {
      const proxy = await createProxy(1, () => status)
      t.after(() => proxy.close())
      const caller = aCaller('http://localhost', { adapter: through(proxy.url), ports: { resolver: target } })
      const error = await failure(caller.transport.dispatch(caller.request('/', { plan: { connectMs: 200 } }), caller.context()))
      assert.equal(error.type, type)
      assert.match(error.message, says)
      assert.equal(error.sent, 'no')
      assert.equal(caller.clock.pending, 0)
      assert.deepEqual(caller.transport.sample(), { connections: 0, idle: 0 })
    })
  }

  for (const [name, verify, allowInsecureSecrets, reached] of [
    ['verify: false of a caller is not for the proxy', true, false, false],
    ['an adapter without verification does not give its login to an unverified proxy', false, false, false],
    ['it does where it says so', false, true, true],
  ] as const) {
    test(name, async (t) => {
      const heads: string[] = []
      const proxy = createTlsServer(certificates().selfSigned, (socket) => {
        socket.on('error', () => {})
        socket.on('data', (head) => {
          heads.push(head.toString())
          socket.end('HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n')
        })
      }).on('tlsClientError', () => {})
      proxy.listen(0, '127.0.0.1')
      await once(proxy, 'listening')
      t.after(() => proxy.close())
      const { port } = proxy.address() as AddressInfo
      const caller = aCaller('https://localhost', {
        adapter: {
          ...through(`https://127.0.0.1:${port}`, { credentials: 'proxy-login' }),
          tls: { verify, ca: null, cert: null, allowInsecure: true, allowInsecureSecrets },
        },
        ports: { resolver: target, secrets: { find: () => secret('proxy-basic', { username: 'user', password: 'pass' }) } },
      })
      const request = caller.request('/', { plan: { tls: { verify: false, ca: null, cert: null } } })
      assert.equal((await failure(caller.transport.dispatch(request, caller.context()))).type, 'ProxyError')
      assert.equal(heads.length > 0, reached)
    })
  }

  test("the proxy's own address is judged", async () => {
    const { dialled, connectTcp } = noDial()
    const caller = aCaller('http://localhost', {
      adapter: { ...through('http://10.0.0.1:3128'), egress: strict },
      ports: { resolver: target, connectTcp },
    })
    assert.equal((await failure(caller.transport.dispatch(caller.request('/'), caller.context()))).type, 'EgressDenied')
    assert.deepEqual(dialled, [])
  })
})
