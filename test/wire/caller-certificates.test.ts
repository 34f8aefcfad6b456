// TLS on the gateway's own listener, and callers that are known by a client certificate.
import assert from 'node:assert/strict'
import { X509Certificate } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { Agent, request } from 'node:https'
import { connect as connectPlain } from 'node:net'
import { type TestContext, test } from 'node:test'
import { connect } from 'node:tls'
import { type Certificate, certificates, SPIFFE_ID } from '../support/certificates.ts'
import { gatewayFor, upstreamFor } from '../support/scene.ts'
import { loopbackAdapter, makeFolder } from '../support/wire.ts'

const PEMS = certificates()
const KEY = 'ops-key-0123456789'
/** How an empty descriptor is refused; of somebody unknown it is not even read. */
const KNOWN = /^HTTP\/1\.1 400 /

interface Asked {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: tests read whatever the envelope holds
  readonly envelope: any
}

/** A gateway with TLS of its own, and a client that may show a certificate. */
async function setUp(t: TestContext, over: { tls?: object; callers?: readonly object[] } = {}) {
  const up = await upstreamFor(t)
  const folder = makeFolder({ 'cert.pem': PEMS.good.cert, 'key.pem': PEMS.good.key, 'ca.pem': PEMS.ca })
  t.after(() => folder.remove())
  const tls = { cert: folder.path('cert.pem'), key: folder.path('key.pem'), clientCa: folder.path('ca.pem'), ...over.tls }
  const may = [{ adapter: 'up' }]
  const fingerprint = new X509Certificate(PEMS.client.cert).fingerprint256
  const options = {
    adapters: [loopbackAdapter('up', up.origin)],
    config: {
      listen: { port: 0, tls },
      callers: over.callers ?? [
        { name: 'billing', certificates: [{ san: SPIFFE_ID }], may },
        { name: 'printed', certificates: [{ sha256: fingerprint }], may },
        { name: 'ops', keys: [KEY], admin: true, may },
      ],
    },
  }
  const gateway = await gatewayFor(t, options)
  const agents: Agent[] = []
  t.after(() => {
    for (const agent of agents) agent.destroy()
  })
  const client = (certificate: Certificate | null, options: object = {}): Agent => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: PEMS.ca, ...certificate, ...options })
    agents.push(agent)
    return agent
  }
  const ask = (agent: Agent, headers: Record<string, string> = {}): Promise<Asked> =>
    new Promise((resolve, reject) => {
      const body = JSON.stringify({ url: `${up.origin}/p` })
      const sent = { 'content-type': 'application/json', ...headers }
      const outgoing = request(
        { host: '127.0.0.1', port: gateway.port, path: '/v1/requests', method: 'POST', agent, headers: sent },
        (response) => {
          let text = ''
          response.on('data', (chunk) => {
            text += chunk
          })
          response.on('end', () => resolve({ status: response.statusCode ?? 0, envelope: JSON.parse(text) }))
        },
      )
      outgoing.on('error', reject).end(body)
    })
  const who = async (agent: Agent, headers?: Record<string, string>): Promise<string> => {
    const { status, envelope } = await ask(agent, headers)
    return status === 200 ? gateway.audit().at(-1).caller : envelope.error.message
  }
  return { up, folder, gateway, client, ask, who, options }
}

test('a caller is known by a certificate that the authorities of clientCa issued', async (t) => {
  const { client, who } = await setUp(t)
  const workload = client(PEMS.workload)
  for (let i = 0; i < 3; i++) assert.equal(await who(workload), 'billing')
  assert.equal(await who(client(PEMS.client)), 'printed')
})

test('whoever shows none, or one of no caller, sends a key', async (t) => {
  const { client, who } = await setUp(t)
  const nobody = client(null)
  assert.match(await who(nobody), /No key was sent\. Send a key/)
  assert.equal(await who(nobody, { 'x-sallyport-key': KEY }), 'ops')
  assert.match(await who(client(PEMS.good)), /certificate is not taken: none of its names is that of a caller/)
})

for (const [name, shown] of [
  ['of another authority', PEMS.unknownIssuer],
  ['that signed itself', PEMS.selfSigned],
  ['that has expired', PEMS.expired],
  ['that is not valid yet', PEMS.notYetValid],
] as const)
  test(`a certificate ${name} is nobody, though a key beside it is good`, async (t) => {
    const { client, who } = await setUp(t)
    const agent = client(shown)
    assert.match(await who(agent), /not issued by an authority of listen\.tls\.clientCa, or is not valid now|it has expired/)
    assert.equal(await who(agent, { 'x-sallyport-key': KEY }), 'ops')
  })

test('a key header decides before a certificate, and a wrong one is not made good by it', async (t) => {
  const { client, who } = await setUp(t)
  const workload = client(PEMS.workload)
  assert.equal(await who(workload, { 'x-sallyport-key': KEY }), 'ops')
  assert.match(await who(workload, { 'x-sallyport-key': 'nonsense' }), /key in X-Sallyport-Key is not known/)
  assert.equal(await who(workload, { authorization: 'Basic eDp5' }), 'billing', 'which is no key of ours')
})

test('a certificate whose names are those of two callers is nobody', async (t) => {
  const { client, who } = await setUp(t, {
    callers: [
      { name: 'billing', certificates: [{ san: SPIFFE_ID }] },
      { name: 'named', certificates: [{ subject: 'CN=api' }] },
    ],
  })
  assert.match(await who(client(PEMS.workload)), /its names are those of billing and named|named and billing/)
})

test('where a certificate is required, a connection without one does not come about', async (t) => {
  const { client, ask, who } = await setUp(t, { tls: { requireClientCert: true } })
  for (const shown of [null, PEMS.unknownIssuer, PEMS.expired])
    await assert.rejects(ask(client(shown), { 'x-sallyport-key': KEY }), /alert|ECONNRESET|socket hang up|EPIPE/)
  assert.equal(await who(client(PEMS.workload)), 'billing')
})

test('TLS 1.1, plain HTTP and a silent caller get nothing; the listener goes on', async (t) => {
  const { gateway, client, who } = await setUp(t)
  await assert.rejects(
    new Promise((_resolve, reject) => {
      connect({ port: gateway.port, host: '127.0.0.1', ca: PEMS.ca, maxVersion: 'TLSv1.1', minVersion: 'TLSv1' }).on(
        'error',
        reject,
      )
    }),
  )
  const plain = connectPlain(gateway.port, '127.0.0.1', () => plain.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n'))
  const heard = await new Promise<string>((resolve) => {
    let text = ''
    plain.on('data', (chunk) => {
      text += chunk.toString('latin1')
    })
    plain.on('close', () => resolve(text)).on('error', () => {})
  })
  assert.ok(!heard.includes('ok'), 'no answer over plain HTTP')
  assert.equal(await who(client(PEMS.workload)), 'billing')
})

test('a page of plain http with the same host is of another origin', async (t) => {
  const { gateway, client, ask } = await setUp(t)
  const agent = client(null)
  const from = (scheme: string) => ask(agent, { 'x-sallyport-key': KEY, origin: `${scheme}://127.0.0.1:${gateway.port}` })
  assert.equal((await from('https')).status, 200)
  const { status, envelope } = await from('http')
  assert.deepEqual([status, envelope.error.type], [403, 'Forbidden'])
})

test('files that change are taken at a reload: a new certificate is shown, and callers of authorities that went are nobody', async (t) => {
  const { gateway, folder, client, who, options } = await setUp(t)
  const workload = client(PEMS.workload)
  assert.equal(await who(workload), 'billing')
  writeFileSync(folder.path('cert.pem'), PEMS.wrongHost.cert)
  writeFileSync(folder.path('key.pem'), PEMS.wrongHost.key)
  writeFileSync(folder.path('ca.pem'), PEMS.strangeCa)
  await gateway.reload(options)
  const now = { checkServerIdentity: () => undefined }
  const [again, stranger] = [client(PEMS.workload, now), client(PEMS.unknownIssuer, now)]
  assert.match(await who(again), /not issued by an authority/)
  assert.match(await who(stranger), /none of its names is that of a caller/)
  await assert.rejects(
    who(workload),
    /altnames|does not match|ECONNRESET|hang up/,
    'its old connection was closed, and the new certificate is for another host',
  )
})

for (const version of ['TLSv1.2', 'TLSv1.3'] as const)
  test(`a ${version} session from before a reload does not outlive its authorities`, async (t) => {
    const { gateway, folder, options } = await setUp(t)
    const first = await askOnce(gateway.port, version)
    assert.match(first.answer, KNOWN)
    const again = await askOnce(gateway.port, version, first.session)
    assert.ok(again.resumed && KNOWN.test(again.answer), 'while nothing changed, sessions are resumed')
    writeFileSync(folder.path('ca.pem'), PEMS.strangeCa)
    await gateway.reload(options)
    const after = await askOnce(gateway.port, version, again.session)
    assert.equal(after.resumed, false)
    assert.match(after.answer, /^HTTP\/1\.1 401 /)
  })

interface Heard {
  readonly answer: string
  readonly resumed: boolean
  /** By which the next connection may resume. */
  readonly session: Buffer | undefined
}

/** What a workload hears of an empty descriptor, sent over a connection of its own. */
function askOnce(port: number, version: 'TLSv1.2' | 'TLSv1.3', session?: Buffer): Promise<Heard> {
  return new Promise((resolve, reject) => {
    const versions = { minVersion: version, maxVersion: version, ...(session ? { session } : {}) }
    const socket = connect({ port, host: '127.0.0.1', ca: PEMS.ca, ...PEMS.workload, ...versions })
    const heard = { answer: '', resumed: false, session: undefined as Buffer | undefined }
    socket.on('secureConnect', () => {
      heard.resumed = socket.isSessionReused()
      const head = 'Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 2\r\nConnection: close'
      socket.write(`POST /v1/prepare HTTP/1.1\r\n${head}\r\n\r\n{}`)
    })
    socket.on('session', (offered) => {
      heard.session = offered
    })
    socket.on('data', (chunk) => {
      heard.answer += chunk.toString('latin1')
    })
    socket.on('error', reject).on('close', () => resolve(heard))
  })
}

test('a reload that breaks the files is refused, and all stays as it was', async (t) => {
  const { gateway, folder, client, who, options } = await setUp(t)
  writeFileSync(folder.path('key.pem'), PEMS.client.key)
  await assert.rejects(gateway.reload(options), /is not the private key of the first certificate/)
  assert.equal(await who(client(PEMS.workload)), 'billing')
})
