// TLS toward upstreams: whom the gateway trusts, what it says when it does not, whom it proves to be, and that connections of
// one trust are never used under another.
import assert from 'node:assert/strict'
import { after, before, describe, it, type TestContext } from 'node:test'
import type { TLSSocket } from 'node:tls'
import { type Certificate, certificates } from '../support/certificates.ts'
import { startGateway, type TestGateway, type TestGatewayOptions } from '../support/gateway.ts'
import { createRudeUpstream, type ReceivedRequest, type RudeOptions, type RudeUpstream } from '../support/rude-upstream.ts'
import { assertFreed, loopbackAdapter, makeFolder, metric } from '../support/wire.ts'

const made = certificates()

interface Scene {
  readonly upstream: RudeUpstream
  readonly gateway: TestGateway
  readonly url: string
}

interface SceneOptions extends Partial<Omit<TestGatewayOptions, 'adapters'>> {
  readonly adapter?: object
  readonly tls?: NonNullable<RudeOptions['tls']>
  readonly behaviours?: RudeOptions['behaviours']
}

/** An upstream that speaks TLS, and a gateway whose bundle `test` is the CA of the test certificates. */
async function scene(
  t: TestContext,
  { adapter = {}, tls = made.good, behaviours = {}, ...rest }: SceneOptions = {},
): Promise<Scene> {
  const folder = makeFolder({ 'ca.pem': made.ca, 'self.pem': made.selfSigned.cert })
  t.after(folder.remove)
  const upstream = await createRudeUpstream({ tls, behaviours })
  t.after(() => upstream.close())
  const gateway = await startGateway({
    adapters: [loopbackAdapter('rude', upstream.origin, adapter)],
    ...rest,
    config: { caBundles: { test: folder.path('ca.pem'), self: folder.path('self.pem') }, ...rest.config },
  })
  t.after(() => gateway.stop())
  return { upstream, gateway, url: `${upstream.origin}/ok` }
}

const BUNDLE = { tls: { ca: 'test' } }

it('a certificate under the configured bundle is trusted, by adapter or by descriptor', async (t) => {
  const { gateway, url } = await scene(t, { adapter: BUNDLE })
  const byAdapter = await gateway.call({ url })
  assert.deepEqual([byAdapter.envelope.status, byAdapter.envelope.warnings], [200, []])
  const other = await scene(t)
  const byDescriptor = await other.gateway.call({ url: other.url, verify: 'test' })
  assert.deepEqual([byDescriptor.envelope.status, byDescriptor.envelope.warnings], [200, []])
  const asIfTrue = await gateway.call({ url, verify: true })
  assert.equal(asIfTrue.envelope.status, 200)
})

interface Untrusted {
  readonly name: string
  readonly certificate: Certificate
  readonly verify?: string
  readonly message: RegExp
}
const UNTRUSTED: readonly Untrusted[] = [
  { name: 'expired', certificate: made.expired, message: /has expired; have it renewed/ },
  { name: 'not yet valid', certificate: made.notYetValid, message: /not valid yet; check its dates/ },
  { name: 'for another host', certificate: made.wrongHost, message: /is for another host; call it by a name/ },
  { name: 'self-signed', certificate: made.selfSigned, message: /is self-signed; configure it as a CA bundle .* verify/ },
  { name: 'of an unknown issuer', certificate: made.unknownIssuer, message: /issued by a CA that is not trusted; .* verify/ },
  { name: "of an issuer that is not the system's", certificate: made.good, verify: 'none', message: /CA that is not trusted/ },
]
for (const { name, certificate, verify, message } of UNTRUSTED) {
  it(`a certificate that is ${name}: SSLError, saying which and what to do, sent no`, async (t) => {
    const { upstream, gateway, url } = await scene(t, { adapter: verify ? {} : BUNDLE, tls: certificate })
    const { status, envelope } = await gateway.call({ url, method: 'POST', json: { secret: 1 } })
    assert.deepEqual([status, envelope.error.type, envelope.error.sent], [502, 'SSLError', 'no'])
    assert.deepEqual([envelope.source, envelope.status, envelope.error.retryable], ['upstream', null, false])
    assert.match(envelope.error.message, message)
    assert.match(envelope.error.message, new RegExp(`127\\.0\\.0\\.1 \\(port ${upstream.port}\\)`))
    assert.deepEqual([envelope.attempts.length, envelope.attempts[0].error, envelope.attempts[0].sent], [1, 'SSLError', 'no'])
    assert.equal(upstream.received.length, 0)
    await upstream.drained()
    await assertFreed(gateway, 'rude')
  })
}

it('a self-signed certificate that is a bundle of its own is trusted', async (t) => {
  const { gateway, url } = await scene(t, { tls: made.selfSigned })
  assert.equal((await gateway.call({ url, verify: 'self' })).envelope.status, 200)
})

it('an upstream that speaks no TLS is SSLError, saying so; and a plain call to a TLS port fails by name', async (t) => {
  const plain = await createRudeUpstream({ onConnect: 'speaks-first' })
  t.after(() => plain.close())
  const { gateway, upstream } = await scene(t)
  await gateway.reload({
    adapters: [
      loopbackAdapter('plain', `https://127.0.0.1:${plain.port}`),
      loopbackAdapter('tls', `http://127.0.0.1:${upstream.port}`),
    ],
  })
  const noTls = await gateway.call({ url: `https://127.0.0.1:${plain.port}/` })
  assert.deepEqual([noTls.status, noTls.envelope.error.type], [502, 'SSLError'])
  assert.match(noTls.envelope.error.message, /does not speak TLS; check the scheme and the port/)
  const noPlain = await gateway.call({ url: `http://127.0.0.1:${upstream.port}/` })
  assert.deepEqual([noPlain.status, noPlain.envelope.error.type], [502, 'ConnectionError'])
})

describe('verify: false', () => {
  it('is Forbidden unless the adapter allows it', async (t) => {
    const { upstream, gateway, url } = await scene(t, { tls: made.selfSigned })
    const { status, envelope } = await gateway.call({ url, verify: false })
    assert.deepEqual([status, envelope.error.type, envelope.error.sent], [403, 'Forbidden', 'no'])
    assert.match(envelope.error.message, /tls\.allowInsecure/)
    assert.equal(upstream.accepted, 0)
  })

  for (const [name, certificate] of Object.entries({
    selfSigned: made.selfSigned,
    expired: made.expired,
    wrongHost: made.wrongHost,
  })) {
    it(`takes a certificate that is ${name}, with a warning and a metric`, async (t) => {
      const { gateway, url } = await scene(t, { tls: certificate, adapter: { tls: { allowInsecure: true } } })
      const { envelope } = await gateway.call({ url, verify: false })
      assert.deepEqual([envelope.status, envelope.error], [200, null])
      assert.match(envelope.warnings.join(), /^InsecureRequestWarning: .*certificate is not verified/)
      assert.equal(metric(await gateway.metrics(), 'sallyport_insecure_calls_total', { adapter: 'rude' }), 1)
      const verified = await gateway.call({ url })
      assert.equal(verified.envelope.error.type, 'SSLError', 'the unverified connection is not used for a verified request')
    })
  }

  it('of the adapter is said in every envelope, failures included', async (t) => {
    const { upstream, gateway, url } = await scene(t, { tls: made.selfSigned, adapter: { tls: { verify: false } } })
    for (const asked of [{ url }, { url: `${upstream.origin}/short-body` }]) {
      const { envelope } = await gateway.call(asked)
      assert.match(envelope.warnings.join(), /^InsecureRequestWarning: .*tls\.verify of adapter "rude" is false/)
    }
  })

  it('an unknown name is InvalidDescriptor', async (t) => {
    const { gateway, url } = await scene(t)
    const { status, envelope } = await gateway.call({ url, verify: 'nowhere' })
    assert.deepEqual([status, envelope.error.type, envelope.error.detail[0].pointer], [400, 'InvalidDescriptor', '/verify'])
  })
})

describe('connections of different trust', () => {
  it('are never shared between verify, bundles and certificates', async (t) => {
    const { upstream, gateway, url } = await scene(t, {
      adapter: { tls: { ca: 'test', allowInsecure: true, allowInsecureSecrets: true } },
    })
    for (const name of ['client-a', 'client-b']) await gateway.provision(clientSecret(name)(upstream.origin))
    const asks = [{}, { verify: false }, { cert: 'client-a' }, { cert: 'client-b' }]
    for (const round of [1, 2]) {
      for (const ask of asks) {
        const { envelope } = await gateway.call({ url, ...ask })
        assert.deepEqual([envelope.status, envelope.attempts[0].reused], [200, round === 2], JSON.stringify(ask))
      }
    }
    const connections = upstream.received.map(({ connection }: ReceivedRequest) => connection)
    assert.deepEqual(connections, [1, 2, 3, 4, 1, 2, 3, 4])
  })
})

/** A stored client certificate for any upstream on loopback that a test starts. */
const clientSecret =
  (name: string, certificate: Certificate = made.client) =>
  (origin: string) => ({
    ...{ name, scheme: 'mtls' as const, values: { ...certificate }, callers: ['*'] },
    origins: [origin],
  })

describe('a client certificate', () => {
  let folder: ReturnType<typeof makeFolder>
  before(() => {
    folder = makeFolder({ 'ca.pem': made.ca })
  })
  after(() => folder.remove())

  async function mutual(t: TestContext, adapter: object = {}): Promise<Scene> {
    const tells = (socket: unknown): string => (socket as TLSSocket).getPeerCertificate().subject?.CN?.toString() ?? 'nobody'
    const upstream = await createRudeUpstream({
      tls: { ...made.good, ca: made.ca, requestCert: true },
      behaviours: {
        who: (socket) => {
          const name = tells(socket)
          socket.write(`HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${name.length}\r\n\r\n${name}`)
        },
      },
    })
    t.after(() => upstream.close())
    const gateway = await startGateway({
      adapters: [loopbackAdapter('rude', upstream.origin, { tls: { ca: 'test' }, ...adapter })],
      config: { caBundles: { test: folder.path('ca.pem') } },
      secrets: [
        clientSecret('client')(upstream.origin),
        clientSecret('elsewhere')('https://elsewhere.example'),
        { ...clientSecret('stranger', made.unknownIssuer)(upstream.origin) },
        { ...clientSecret('private')(upstream.origin), callers: ['somebody-else'] },
        { name: 'no-cert', scheme: 'bearer', values: { token: 'x' }, origins: [upstream.origin], callers: ['*'] },
      ],
    })
    t.after(() => gateway.stop())
    return { upstream, gateway, url: `${upstream.origin}/who` }
  }

  it('of the descriptor is presented', async (t) => {
    const { gateway, url } = await mutual(t)
    const { envelope } = await gateway.call({ url, cert: 'client' })
    assert.deepEqual([envelope.status, envelope.text], [200, 'gateway'])
  })

  it('of the adapter is presented, and that of the descriptor instead', async (t) => {
    const { gateway, url } = await mutual(t, { tls: { ca: 'test', cert: 'client' } })
    assert.equal((await gateway.call({ url })).envelope.text, 'gateway')
    // Node's server hangs up on a certificate that it does not know, without an alert.
    const stranger = await gateway.call({ url, cert: 'stranger' })
    assert.equal(stranger.envelope.error.type, 'ConnectionError')
  })

  it('that is wanted and missing is SSLError, saying so', async (t) => {
    const { gateway, url, upstream } = await mutual(t)
    const { status, envelope } = await gateway.call({ url })
    assert.deepEqual([status, envelope.error.type, envelope.status], [502, 'SSLError', null])
    assert.match(envelope.error.message, /wants a client certificate that it knows; name a stored one with cert/)
    assert.equal(upstream.received.length, 0)
    await upstream.drained()
    await assertFreed(gateway, 'rude')
  })

  for (const cert of ['nobody', 'elsewhere', 'private', 'no-cert']) {
    it(`"${cert}" that does not exist, or is not for this origin, caller or purpose, is UnknownCredential`, async (t) => {
      const { gateway, url, upstream } = await mutual(t)
      const { status, envelope } = await gateway.call({ url, cert })
      assert.deepEqual(
        [status, envelope.error.type, envelope.error.sent, envelope.source],
        [403, 'UnknownCredential', 'no', 'gateway'],
      )
      assert.equal(upstream.accepted, 0)
      await assertFreed(gateway, 'rude')
    })
  }

  it('that was replaced is presented from the next call on, on a connection of its own', async (t) => {
    const { gateway, url, upstream } = await mutual(t)
    await gateway.call({ url, cert: 'client' })
    await gateway.provision(clientSecret('client')(upstream.origin))
    const { envelope } = await gateway.call({ url, cert: 'client' })
    assert.deepEqual([envelope.status, envelope.attempts[0].reused], [200, false])
  })
})
