// Which addresses a call may reach. Everything here leads to loopback, where an upstream counts who connects: a refusal is
// one only where nobody did.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { freePort } from '../support/free-port.ts'
import { startNameServer } from '../support/name-server.ts'
import { gatewayFor, upstreamFor } from '../support/scene.ts'
import { redirectTo, valuesOf } from '../support/scripted-upstream.ts'
import { loopbackAdapter } from '../support/wire.ts'

const CATCH_ALL = { name: 'rest', mount: 'http://', retry: false, breaker: false }
const ANN = 'ann-key-0123456789'
const as = { headers: { 'x-sallyport-key': ANN } }

async function namesFor(t: TestContext) {
  const names = await startNameServer()
  t.after(() => names.close())
  return names
}

test('a URL that no adapter is mounted on is EgressDenied', async (t) => {
  const up = await upstreamFor(t)
  const gateway = await gatewayFor(t, { adapters: [loopbackAdapter('up', up.origin)] })
  for (const url of [
    'https://example.com/',
    `https://127.0.0.1:${up.port}/`,
    `http://localhost:${up.port}/`,
    'http://127.0.0.1/',
  ]) {
    const { status, envelope } = await gateway.call({ url })
    assert.deepEqual([status, envelope.error.type, envelope.adapter, envelope.request], [403, 'EgressDenied', null, null])
    assert.equal(envelope.url, url)
    const prepared = await gateway.post('/v1/prepare', JSON.stringify({ url }))
    assert.deepEqual(
      [prepared.status, prepared.envelope.plan.refusedBy, prepared.envelope.plan.adapter],
      [403, 'EgressDenied', null],
    )
  }
  assert.equal(up.accepted(), 0)
})

test('the longest mount wins, at a boundary alone', async (t) => {
  const up = await upstreamFor(t)
  const names = ['root', 'v1', 'v1x', 'deep', 'query'] as const
  const paths = { root: '/', v1: '/v1', v1x: '/v1x/', deep: '/v1/deep/', query: '/query' }
  const gateway = await gatewayFor(t, {
    adapters: names.map((name) => ({ ...loopbackAdapter(name, up.origin), mount: up.origin + paths[name] })),
  })
  const table: readonly (readonly [path: string, adapter: string])[] = [
    ['/', 'root'],
    ['', 'root'],
    ['/v1', 'v1'],
    ['/v1/', 'v1'],
    ['/v1?x', 'v1'],
    ['/v1#x', 'v1'],
    ['/v1/a', 'v1'],
    ['/v12', 'root'],
    ['/v1x', 'root'],
    ['/v1x/a', 'v1x'],
    ['/V1/a', 'root'],
    ['/v1/deep', 'v1'],
    ['/v1/deep/x', 'deep'],
    ['/v1/deep/../x', 'v1'],
    ['/v1/deep/%2e%2e/x', 'v1'],
    ['/v1/../query?/v1', 'query'],
  ]
  for (const [path, adapter] of table) {
    const { status, envelope } = await gateway.call({ url: up.origin.toUpperCase() + path })
    assert.deepEqual([status, envelope.adapter], [200, adapter], path)
  }
  const ports = await gatewayFor(t, {
    adapters: [
      { name: 'plain', mount: 'http://h.test:80' },
      { name: 'tls', mount: 'HTTPS://H.test/' },
    ],
  })
  for (const [url, adapter] of [
    ['http://h.test/x', 'plain'],
    ['http://H.TEST:80', 'plain'],
    ['https://h.test:443/?x', 'tls'],
    ['https://h.test:80/', null],
    ['http://h.test:443/', null],
  ] as const) {
    const { envelope } = await ports.post('/v1/prepare', JSON.stringify({ url }))
    assert.equal(envelope.plan.adapter, adapter, url)
  }
  const evil = await gateway.call({ url: `http://127.0.0.1.evil.example:${up.port}/` })
  assert.equal(evil.envelope.error.type, 'EgressDenied')
})

test('where a mount has a path, what servers read in two ways is Forbidden', async (t) => {
  const up = await upstreamFor(t)
  const gateway = await gatewayFor(t, {
    adapters: [
      { ...loopbackAdapter('api', up.origin), mount: `${up.origin}/api/` },
      { ...loopbackAdapter('open', `http://localhost:${up.port}`), egress: { allow: ['127.0.0.1', '::1'] } },
      {
        ...loopbackAdapter('ruled', `http://ruled.localhost:${up.port}`, { paths: ['/open/**'] }),
        egress: { allow: ['127.0.0.1', '::1'] },
      },
    ],
  })
  const disguised = ['a%2fb', 'a%2Fb', '..%2f..%2fsecret', 'a%5cb', 'a\\b', '%252e%252e/x', '%25252e%25252e/x', '%252E./x']
  for (const path of disguised) {
    for (const url of [`${up.origin}/api/${path}`, `http://ruled.localhost:${up.port}/open/${path}`]) {
      const { status, envelope } = await gateway.call({ url })
      assert.deepEqual([status, envelope.error?.type], [403, 'Forbidden'], url)
    }
  }
  assert.equal(up.accepted(), 0)
  assert.equal((await gateway.call({ url: `http://ruled.localhost:${up.port}/closed` })).envelope.error.type, 'Forbidden')
  const plain = await gateway.call({ url: `http://localhost:${up.port}/a%2fb` })
  assert.deepEqual([plain.status, up.last().target], [200, '/a%2Fb'], 'where no path rule stands, nothing is refused')
})

test('a loopback address is refused in every notation, and nobody connects', async (t) => {
  const up = await upstreamFor(t)
  const gateway = await gatewayFor(t, {
    adapters: [CATCH_ALL],
    config: { callers: [{ name: 'ann', keys: [ANN], may: [{ adapter: 'rest' }] }] },
  })
  const hosts = [
    ...['127.0.0.1', '127.1', '127.0.1', '2130706433', '0x7f000001', '0x7f.1', '017700000001', '0177.0.0.01', '127.0.0.1.'],
    ...['127.255.255.254', '0.0.0.0', '0', '[::1]', '[::]', '[::ffff:127.0.0.1]', '[::ffff:7f00:1]', '[0:0:0:0:0:ffff:7f00:1]'],
    ...['[::127.0.0.1]', '[64:ff9b::7f00:1]', '[2002:7f00:1::]', 'localhost', 'LOCALHOST.', 'a.localhost', '%31%32%37.0.0.1'],
  ]
  for (const host of hosts) {
    await t.test(host, async () => {
      const url = `http://${host}:${up.port}/`
      const { status, text, envelope } = await gateway.call({ url }, as)
      assert.deepEqual([status, envelope.error?.type, envelope.error?.sent], [403, 'EgressDenied', 'no'], text)
      assert.equal(
        envelope.attempts.every(({ address }: { address: unknown }) => address === null),
        true,
      )
    })
  }
  for (const host of ['①②⑦.⓪.⓪.①', '１２７.0.0.1', '127。0。0。1', '[::1%25lo]', '127.0.0.1.1', '0x7f.0.0.0.1', '127.0.0.256']) {
    await t.test(`${host} is no URL`, async () => {
      const { status, envelope } = await gateway.call({ url: `http://${host}:${up.port}/` }, as)
      assert.deepEqual([status, envelope.error?.type], [400, 'InvalidURL'])
    })
  }
  assert.equal(up.accepted(), 0)
})

test('an address in the URL is judged in prepare too, of whatever range', async (t) => {
  const gateway = await gatewayFor(t, { adapters: [CATCH_ALL, { ...CATCH_ALL, name: 'tls', mount: 'https://' }] })
  const refused = [
    ...['10.0.0.1', '172.16.0.1', '192.168.1.1', '169.254.169.254', '100.64.0.1', '100.100.100.200', '224.0.0.1', '240.0.0.1'],
    ...['255.255.255.255', '192.0.2.1', '198.18.0.1', '168.63.129.16', '[fd00::1]', '[fe80::1]', '[fec0::1]', '[ff02::1]'],
    ...['[2001:db8::1]', '[64:ff9b::a9fe:a9fe]', '[2002:a00:1::]', '[2001::1]', '[::ffff:a00:1]', '[fd00:ec2::254]', '167772161'],
  ]
  for (const host of refused) {
    const { status, envelope } = await gateway.post('/v1/prepare', JSON.stringify({ url: `https://${host}/` }))
    assert.deepEqual([status, envelope.error?.type, envelope.plan.refusedBy], [403, 'EgressDenied', 'EgressDenied'], host)
    assert.notEqual(envelope.request, null)
  }
  for (const host of ['1.1.1.1', '[2606:4700::1111]'])
    assert.equal((await gateway.post('/v1/prepare', JSON.stringify({ url: `https://${host}/` }))).status, 200, host)
})

test('the host of a URL is what is dialled, whatever stands before, behind or in it', async (t) => {
  const gateway = await gatewayFor(t, { adapters: [CATCH_ALL] })
  const table: readonly (readonly [url: string, host: string | null])[] = [
    ['http://good.test@127.0.0.1/', null],
    ['http://good.test:pw@[::1]/', null],
    ['http://good.test%20@127.0.0.1/', null],
    ['http://a@good.test@127.0.0.1/', null],
    ['http://127.0.0.1#@1.1.1.1/', null],
    ['http://127.0.0.1?@1.1.1.1/', null],
    ['http://127.0.0.1.#.good.test/', null],
    ['http://127.0.0.1@1.1.1.1/', '1.1.1.1'],
    ['http://127.0.0.1:80@1.1.1.1/', '1.1.1.1'],
    ['http://[::1]@1.1.1.1:8080/', '1.1.1.1:8080'],
    ['http://1.1.1.1#@127.0.0.1/', '1.1.1.1'],
    ['http://1.1.1.1/@127.0.0.1/', '1.1.1.1'],
    ['http://1.1.1.1\\@127.0.0.1/', '1.1.1.1'],
    ['http://1.1.1.1:00080/', '1.1.1.1'],
    ['http://1.1.1.1:/', '1.1.1.1'],
  ]
  for (const [url, host] of table) {
    const { status, envelope } = await gateway.post('/v1/prepare', JSON.stringify({ url }))
    if (host === null) assert.deepEqual([status, envelope.error?.type], [403, 'EgressDenied'], url)
    else assert.deepEqual([status, new URL(envelope.request.url).host], [200, host], url)
  }
  const none = [
    'good.test%40127.0.0.1',
    '1.1.1.1:80:80',
    '1.1.1.1:65536',
    '1.1.1.1:0x50',
    '1.1.1.1:-1',
    '1.1.1.1:8 0',
    '[1.1.1.1]',
    '[::1',
    '::1',
    '[::1]x',
    '[fe80::1%25lo]',
    '1.1.1.1%00',
    '1.1.1.1\u3002x/',
    'a\u200b.b..c',
  ]
  for (const host of none) {
    const { status, envelope } = await gateway.post('/v1/prepare', JSON.stringify({ url: `http://${host}/` }))
    assert.deepEqual([status, envelope.error?.type], [400, 'InvalidURL'], host)
  }
})

test('a redirect to a refused address ends there', async (t) => {
  const inner = await upstreamFor(t)
  const up = await upstreamFor(t)
  const gateway = await gatewayFor(t, { adapters: [loopbackAdapter('up', up.origin), CATCH_ALL] })
  for (const host of ['127.0.0.1', '2130706433', '[::ffff:7f00:1]', 'localhost']) {
    up.answer(redirectTo(`http://${host}:${inner.port}/secrets`))
    const { status, envelope } = await gateway.call({ url: `${up.origin}/go` })
    assert.deepEqual([status, envelope.error.type, envelope.error.sent], [403, 'EgressDenied', 'yes'])
    assert.deepEqual([envelope.status, envelope.url, envelope.history], [302, `${up.origin}/go`, []])
  }
  assert.equal(inner.accepted(), 0)
})

test('names are judged by what they resolve to', async (t) => {
  const names = await namesFor(t)
  const up = await upstreamFor(t)
  const gateway = await gatewayFor(t, {
    adapters: [
      { ...CATCH_ALL, egress: { allow: ['127.0.0.1'] } },
      {
        ...CATCH_ALL,
        name: 'filtered',
        mount: `http://filtered.test:${up.port}/`,
        egress: { allow: ['127.0.0.1'], mixedAnswers: 'filter' },
      },
    ],
    config: { dns: { servers: [names.server] } },
  })
  const call = (host: string) => gateway.call({ url: `http://${host}:${up.port}/` })

  await t.test('an allowed one is dialled, the name kept in Host', async () => {
    names.set('good.test', '127.0.0.1')
    const { envelope } = await call('good.test')
    assert.deepEqual([envelope.status, envelope.attempts[0].address], [200, '127.0.0.1'])
    assert.deepEqual(valuesOf(up.last(), 'host'), [`good.test:${up.port}`])
  })
  const before = up.accepted()
  for (const addresses of [['127.0.0.2'], ['::1'], ['127.0.0.1', '::1'], ['127.0.0.1', '127.0.0.2'], ['64:ff9b::7f00:2']]) {
    await t.test(`${addresses.join(' and ')} is refused`, async () => {
      names.set('bad.test', ...addresses)
      const { status, envelope } = await call('bad.test')
      assert.deepEqual([status, envelope.error.type, envelope.error.sent], [403, 'EgressDenied', 'no'])
    })
  }
  assert.equal(up.accepted(), before)
  await t.test('mixedAnswers: filter dials the allowed ones', async () => {
    names.set('filtered.test', '127.0.0.2', '127.0.0.1', '::1')
    const { envelope } = await call('filtered.test')
    assert.equal(envelope.attempts[0].address, '127.0.0.1')
  })
  await t.test('a second answer cannot change what was judged: each new connection is', async () => {
    names.set('rebind.test', '127.0.0.1')
    up.answer({ headers: [['Connection', 'close']], body: 'x' })
    assert.equal((await call('rebind.test')).envelope.status, 200)
    names.set('rebind.test', '127.0.0.2')
    assert.equal((await call('rebind.test')).envelope.error.type, 'EgressDenied')
  })
})

test('a name that leads elsewhere by the next try is judged anew', async (t) => {
  const names = await namesFor(t)
  const up = await upstreamFor(t)
  const gateway = await gatewayFor(t, {
    adapters: [{ ...CATCH_ALL, retry: { total: 3, backoffFactor: 1 }, egress: { allow: ['127.0.0.1'] } }],
    config: { dns: { servers: [names.server] } },
  })
  names.set('rebind.test', '127.0.0.1')
  up.answer(() => {
    names.set('rebind.test', '127.0.0.2')
    return { status: 503, headers: [['Connection', 'close']], body: 'x' }
  })
  const { status, envelope } = await gateway.call({ url: `http://rebind.test:${up.port}/` })
  assert.deepEqual([status, envelope.error.type, envelope.error.sent], [403, 'EgressDenied', 'yes'])
  assert.deepEqual(
    envelope.attempts.map((attempt: { status?: number; error?: string }) => attempt.status ?? attempt.error),
    [503, 'EgressDenied'],
  )
  assert.equal(up.received.length, 1)
})

test('under a catch-all, a name that does not resolve and one that must not are told alike', async (t) => {
  const names = await namesFor(t)
  const gateway = await gatewayFor(t, {
    adapters: [CATCH_ALL, { ...CATCH_ALL, name: 'mounted', mount: 'http://mounted.test/' }],
    config: {
      dns: { servers: [names.server] },
      callers: [
        { name: 'ann', keys: [ANN], may: [{ adapter: 'rest' }, { adapter: 'mounted' }] },
        { name: 'ops', keys: ['ops-key-0123456789'], admin: true, may: [{ adapter: 'rest' }] },
      ],
    },
  })
  names.set('inside.test', '127.0.0.1')
  const told = async (host: string) => {
    const { status, envelope } = await gateway.call({ url: `http://${host}/` }, as)
    const { timings, requestId, attempts, ...rest } = envelope
    const ledger = attempts.map((attempt: object) => ({ ...attempt, elapsed: 0, connect: 0, firstByte: 0 }))
    return JSON.stringify({ status, ...rest, ledger }).replaceAll(host, 'HOST')
  }
  const inside = await told('inside.test')
  assert.match(inside, /EgressDenied/)
  assert.equal(inside, await told('nowhere.test'))
  const mounted = await gateway.call({ url: 'http://mounted.test/' }, as)
  assert.equal(mounted.envelope.error.type, 'ConnectionError', 'a mounted name is no secret')
  const ops = await gateway.call({ url: 'http://inside.test/' }, { headers: { 'x-sallyport-key': 'ops-key-0123456789' } })
  assert.match(ops.envelope.error.message, /127\.0\.0\.1/)
})

test("the gateway's own listeners are never dialled, whatever egress.allow says", async (t) => {
  const names = await namesFor(t)
  names.set('self.test', '127.0.0.1')
  const gateway = await gatewayFor(t, {
    adapters: [{ ...CATCH_ALL, egress: { allow: ['0.0.0.0/0', '::/0'] } }],
    config: { dns: { servers: [names.server] } },
  })
  for (const host of ['127.0.0.1', 'localhost', '[::ffff:127.0.0.1]', '0.0.0.0', '[::]', '2130706433', 'self.test']) {
    const { status, envelope } = await gateway.call({ url: `http://${host}:${gateway.port}/healthz` })
    assert.deepEqual([status, envelope.error?.type, envelope.error?.sent], [403, 'EgressDenied', 'no'], host)
  }
})

test('nor is the listener of the metrics', async (t) => {
  const port = await freePort()
  const gateway = await gatewayFor(t, {
    adapters: [{ ...CATCH_ALL, egress: { allow: ['0.0.0.0/0', '::/0'] } }],
    config: { metrics: { listen: { host: '127.0.0.1', port } } },
  })
  for (const host of ['127.0.0.1', 'localhost', '0.0.0.0', '[::ffff:7f00:1]']) {
    const { status, envelope } = await gateway.call({ url: `http://${host}:${port}/metrics` })
    assert.deepEqual([status, envelope.error?.type, envelope.error?.sent], [403, 'EgressDenied', 'no'], host)
  }
  assert.match(await gateway.metrics(), /sallyport_dns_duration_seconds/)
})

test('ports of egress.ports alone', async (t) => {
  const up = await upstreamFor(t)
  const gateway = await gatewayFor(t, { adapters: [{ ...CATCH_ALL, egress: { allow: ['127.0.0.1'], ports: [80, 443] } }] })
  const { status, envelope } = await gateway.call({ url: `${up.origin}/` })
  assert.deepEqual([status, envelope.error.type, up.accepted()], [403, 'EgressDenied', 0])
})
