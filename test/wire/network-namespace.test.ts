// A whole gateway in a network of its own, where nothing but loopback exists: private and metadata addresses are put on that
// loopback and served, so that a refusal is one because nobody connected, and what is opened is dialled for real. The system's own
// resolv.conf and hosts are replaced there too. The file runs itself inside; where the machine does not permit that, it says so.
import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { startNameServer } from '../support/name-server.ts'
import { gatewayFor } from '../support/scene.ts'
import { until } from '../support/wire.ts'

const INSIDE = process.env.SALLYPORT_TEST_NAMESPACE
const ADDRESSES = [
  ...[
    '10.0.0.1',
    '172.16.0.1',
    '192.168.1.1',
    '100.64.0.1',
    '169.254.0.1',
    '169.254.169.254',
    '100.100.100.200',
    '168.63.129.16',
  ],
  ...['fd00::1', 'fd00:ec2::254', '64:ff9b::a9fe:a9fe', '64:ff9b::a00:1', '2002:a00:1::1', '93.184.216.34', '2606:4700::1'],
]
const METADATA = ['169.254.169.254', '100.100.100.200', '168.63.129.16', 'fd00:ec2::254']
const PUBLIC = ['93.184.216.34', '2606:4700::1']
const PORT = 8099

const inUrl = (address: string): string => (address.includes(':') ? `[${address}]` : address)

if (INSIDE === undefined) test('a gateway in a network of its own', runInside)
else {
  test('of private, metadata and translated addresses each is refused unless listed, and then dialled', addressesAreDialled)
  test('a public address needs no listing', publicIsDialled)
  test('nameservers, search domains, ndots and hosts are the system’s, and followed as they change', (t) =>
    namesAreFollowed(t, INSIDE))
}

async function runInside(t: TestContext): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-namespace-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'resolv.conf'), 'nameserver 127.0.0.53\n')
  writeFileSync(join(folder, 'hosts'), '127.0.0.1 localhost\n')
  const setUp = [
    'ip link set lo up',
    ...ADDRESSES.map((address) => `ip addr add ${address}/${address.includes(':') ? '128' : '32'} dev lo`),
    ...['resolv.conf', 'hosts'].map((name) => `mount --bind ${join(folder, name)} /etc/${name}`),
  ].join(' && ')
  const flags = ['-rnm', '-nm'].find((given) => spawnSync('unshare', [given, 'sh', '-c', setUp]).status === 0)
  if (flags === undefined) return t.skip('this machine does not let a test make a network namespace (unshare, ip, mount)')
  const { NODE_TEST_CONTEXT: _, ...env } = process.env
  const run = `${setUp} && exec "${process.execPath}" --test-reporter=spec "${import.meta.filename}"`
  const child = spawn('unshare', [flags, 'sh', '-c', run], {
    env: { ...env, SALLYPORT_TEST_NAMESPACE: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said = Promise.all([text(child.stdout), text(child.stderr)])
  const [code] = await once(child, 'exit')
  assert.equal(code, 0, (await said).join('\n'))
}

/** Serves every address; how often each was connected to. */
async function serveAll(t: TestContext): Promise<ReadonlyMap<string, number>> {
  const connections = new Map<string, number>()
  for (const address of ADDRESSES) {
    const server = createServer((_, response) => response.writeHead(200, { connection: 'close' }).end('x'))
    server.on('connection', () => connections.set(address, (connections.get(address) ?? 0) + 1))
    server.listen(PORT, address)
    await once(server, 'listening')
    t.after(() => {
      server.closeAllConnections()
      server.close()
    })
  }
  return connections
}

const rest = (egress: object): object => ({ name: 'rest', mount: 'http://', egress, retry: false, breaker: false })

async function addressesAreDialled(t: TestContext): Promise<void> {
  const connections = await serveAll(t)
  const inner = ADDRESSES.filter((address) => !PUBLIC.includes(address))
  const cases: readonly { readonly egress: object; readonly opens: readonly string[] }[] = [
    { egress: {}, opens: [] },
    {
      egress: { allow: ['0.0.0.0/0', '::/0'] },
      opens: inner.filter((address) => !METADATA.includes(address) && address !== '64:ff9b::a9fe:a9fe'),
    },
    { egress: { allow: ['10.0.0.0/8', 'fd00::/8'] }, opens: ['10.0.0.1', 'fd00::1', '64:ff9b::a00:1', '2002:a00:1::1'] },
    {
      egress: { allowMetadata: ['169.254.169.254', 'fd00:ec2::254'] },
      opens: ['169.254.169.254', 'fd00:ec2::254', '64:ff9b::a9fe:a9fe'],
    },
  ]
  for (const { egress, opens } of cases) {
    const gateway = await gatewayFor(t, { adapters: [rest(egress)] })
    for (const address of inner) {
      const before = connections.get(address) ?? 0
      const { status, envelope } = await gateway.call({ url: `http://${inUrl(address)}:${PORT}/` })
      const told = `${JSON.stringify(egress)} ${address} ${envelope.error?.message}`
      const isOpen = opens.includes(address)
      assert.deepEqual([status, envelope.error?.type ?? null], isOpen ? [200, null] : [403, 'EgressDenied'], told)
      assert.equal((connections.get(address) ?? 0) - before, isOpen ? 1 : 0, told)
    }
  }
}

async function publicIsDialled(t: TestContext): Promise<void> {
  const connections = await serveAll(t)
  const gateway = await gatewayFor(t, { adapters: [rest({})] })
  for (const address of PUBLIC) {
    const { envelope } = await gateway.call({ url: `http://${inUrl(address)}:${PORT}/` })
    assert.deepEqual([envelope.status, envelope.attempts[0].address], [200, address])
  }
  assert.equal(connections.size, PUBLIC.length)
}

async function namesAreFollowed(t: TestContext, folder: string): Promise<void> {
  await serveAll(t)
  const [first, second] = [
    await startNameServer({ address: '127.0.0.53', port: 53 }),
    await startNameServer({ address: '127.0.0.54', port: 53 }),
  ]
  t.after(() => Promise.all([first.close(), second.close()]))
  const gateway = await gatewayFor(t, { adapters: [rest({ allow: ['10.0.0.0/8', '192.168.0.0/16'] })] })
  const addressOf = async (host: string): Promise<string | undefined> => {
    const { envelope } = await gateway.call({ url: `http://${host}:${PORT}/` })
    return envelope.attempts[0]?.address ?? envelope.error?.type
  }
  first.set('db.prod.svc.cluster.local', '10.0.0.1')
  writeFileSync(
    join(folder, 'resolv.conf'),
    'nameserver 127.0.0.53\nsearch prod.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n',
  )
  await until('a short name is found under the search domains', async () => (await addressOf('db')) === '10.0.0.1')
  assert.equal(await addressOf('db.prod'), '10.0.0.1')
  assert.ok(first.asked.includes('db.prod.svc.cluster.local'))
  first.set('api.test', '10.0.0.1')
  second.set('api.test', '192.168.1.1')
  assert.equal(await addressOf('api.test'), '10.0.0.1')
  writeFileSync(join(folder, 'resolv.conf'), 'nameserver 127.0.0.54\n')
  await until('the other name server is asked', async () => (await addressOf('api.test')) === '192.168.1.1', 5000)
  writeFileSync(join(folder, 'hosts'), '127.0.0.1 localhost\n10.0.0.1 by-hand.test\n')
  await until('a line of the hosts file serves', async () => (await addressOf('by-hand.test')) === '10.0.0.1', 5000)
}
