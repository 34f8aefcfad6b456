import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, test } from 'node:test'
import { type Ask, createResolver, type Resolver } from '../../../src/transport/resolver.ts'
import {
  candidates,
  createSystemNames,
  parseHosts,
  parseSearchRules,
  parseServers,
  type SystemNames,
} from '../../../src/transport/system-names.ts'
import { aMeter } from '../../support/builders.ts'
import { createFakeClock, type FakeClock, settle } from '../../support/fake-clock.ts'

interface Record {
  readonly address: string
  readonly ttl: number
}

const a = (address: string, ttl = 60): Record => ({ address, ttl })
const failing = (code: string): Error => Object.assign(new Error(code), { code })
const bare: SystemNames = { hosts: () => [], searchRules: () => ({ search: [], ndots: 1 }), servers: () => [] }

interface Bench {
  readonly resolver: Resolver
  readonly clock: FakeClock
  readonly asked: string[]
  readonly outcomes: () => unknown[]
}

/** `zone`: "name 4" → records, an error, or a promise of either; a name that is not in it does not exist. */
function bench(zone: { [question: string]: readonly Record[] | Error | Promise<readonly Record[]> }, system = bare): Bench {
  const clock = createFakeClock()
  const meter = aMeter()
  const asked: string[] = []
  const ask: Ask = async (name, family) => {
    asked.push(`${name} ${family}`)
    const found = await (zone[`${name} ${family}`] ?? failing('ENOTFOUND'))
    if (found instanceof Error) throw found
    return found
  }
  return {
    resolver: createResolver({ servers: [], clock, meter, system, ask }),
    clock,
    asked,
    outcomes: () => meter.deeds.map(([, , outcome]) => outcome),
  }
}

describe('a name', () => {
  test('leads to the addresses of both families, IPv6 first', async () => {
    const { resolver } = bench({ 'api.example 4': [a('93.184.216.34')], 'api.example 6': [a('2606:4700::1')] })
    assert.deepEqual(await resolver.resolve('API.example'), ['2606:4700::1', '93.184.216.34'])
  })

  test('is asked for again when the shortest of its TTLs is over', async () => {
    const { resolver, clock, asked, outcomes } = bench({ 'api.example 4': [a('1.1.1.1', 60), a('1.0.0.1', 30)] })
    await resolver.resolve('api.example')
    await clock.advance(29_999)
    await resolver.resolve('api.example')
    assert.equal(asked.length, 2)
    await clock.advance(1)
    await resolver.resolve('api.example')
    assert.equal(asked.length, 4)
    assert.deepEqual(outcomes(), ['answered', 'hit', 'answered'])
  })

  test('with a TTL of 0 is not remembered', async () => {
    const { resolver, asked } = bench({ 'api.example 4': [a('1.1.1.1', 0)] })
    await resolver.resolve('api.example')
    await resolver.resolve('api.example')
    assert.equal(asked.length, 4)
  })

  test('that many wait for is asked for once', async () => {
    const { resolver, asked } = bench({ 'api.example 4': [a('1.1.1.1')] })
    const answers = await Promise.all(Array.from({ length: 50 }, () => resolver.resolve('api.example')))
    assert.ok(answers.every(([address]) => address === '1.1.1.1'))
    assert.equal(asked.length, 2)
  })

  test('that does not exist has no addresses, and that is remembered for two seconds', async () => {
    const { resolver, asked, clock } = bench({})
    assert.deepEqual(await resolver.resolve('gone.example'), [])
    await clock.advance(1999)
    await resolver.resolve('gone.example')
    assert.equal(asked.length, 2)
    await clock.advance(1)
    await resolver.resolve('gone.example')
    assert.equal(asked.length, 4)
  })

  for (const [code, says] of [
    ['ESERVFAIL', /api\.example could not be resolved: the name servers failed/],
    ['ETIMEOUT', /did not answer/],
    ['EREFUSED', /refused the question/],
    ['EWHAT', /look-up failed \(EWHAT\)/],
  ] as const) {
    test(`that no server would tell of (${code}) is ConnectionError, and is asked for again`, async () => {
      const zone = { 'api.example 4': failing(code), 'api.example 6': failing(code) }
      const { resolver, asked } = bench(zone)
      await assert.rejects(resolver.resolve('api.example'), { type: 'ConnectionError', message: says, sent: 'no' })
      await assert.rejects(resolver.resolve('api.example'), { type: 'ConnectionError' })
      assert.equal(asked.length, 4)
    })
  }

  test('does not fail with one family, where the other has addresses', async () => {
    const { resolver } = bench({ 'api.example 4': [a('1.1.1.1')], 'api.example 6': failing('ESERVFAIL') })
    assert.deepEqual(await resolver.resolve('api.example'), ['1.1.1.1'])
  })

  test('does not wait longer than 50 ms for the second family', async () => {
    const { resolver, clock } = bench({ 'api.example 4': [a('1.1.1.1')], 'api.example 6': new Promise(() => {}) })
    let answer: readonly string[] | undefined
    void resolver.resolve('api.example').then((addresses) => {
      answer = addresses
    })
    await clock.advance(49)
    assert.equal(answer, undefined)
    await clock.advance(1)
    assert.deepEqual(answer, ['1.1.1.1'])
    assert.equal(clock.pending, 0)
  })

  test('waits for the second family where the first has nothing', async () => {
    const { resolver, clock } = bench({
      'api.example 6': new Promise((resolve) => setImmediate(resolve, [a('2606:4700::1')])),
    })
    const answer = resolver.resolve('api.example')
    await settle()
    assert.deepEqual(await answer, ['2606:4700::1'])
    assert.equal(clock.pending, 0)
  })

  test('is looked for under the search domains as glibc does', async () => {
    const system = { ...bare, searchRules: () => ({ search: ['prod.svc', 'svc'], ndots: 2 }) }
    const { resolver, asked } = bench({ 'billing.svc 4': [a('10.0.0.1')] }, system)
    assert.deepEqual(await resolver.resolve('billing'), ['10.0.0.1'])
    assert.deepEqual(asked, ['billing.prod.svc 6', 'billing.prod.svc 4', 'billing.svc 6', 'billing.svc 4'])
  })

  test('is found although a server fails for one of its search domains', async () => {
    const system = { ...bare, searchRules: () => ({ search: ['broken'], ndots: 5 }) }
    const zone = { 'api.example.broken 4': failing('ESERVFAIL'), 'api.example 4': [a('1.1.1.1')] }
    assert.deepEqual(await bench(zone, system).resolver.resolve('api.example'), ['1.1.1.1'])
  })

  test('is not looked for under search domains where servers are configured', async () => {
    const asked: string[] = []
    const ask: Ask = async (name) => {
      asked.push(name)
      return []
    }
    const system = { ...bare, searchRules: () => ({ search: ['svc'], ndots: 5 }) }
    const resolver = createResolver({ servers: ['127.0.0.1:53'], clock: createFakeClock(), meter: aMeter(), system, ask })
    await resolver.resolve('api.example')
    assert.deepEqual(asked, ['api.example', 'api.example'])
  })

  for (const name of ['localhost', 'LOCALHOST', 'localhost.', 'api.localhost']) {
    test(`${name} is loopback and is asked of nobody`, async () => {
      const { resolver, asked } = bench({})
      assert.deepEqual(await resolver.resolve(name), ['127.0.0.1', '::1'])
      assert.deepEqual(asked, [])
    })
  }

  test('in the hosts file is asked of nobody', async () => {
    const { resolver, asked } = bench({}, { ...bare, hosts: (name) => (name === 'db' ? ['10.0.0.5'] : []) })
    assert.deepEqual(await resolver.resolve('DB'), ['10.0.0.5'])
    assert.deepEqual(asked, [])
  })

  test('never fills memory: the oldest of many names is forgotten', async () => {
    const zone: { [question: string]: readonly Record[] } = {}
    for (let i = 0; i <= 4096; i++) zone[`n${i}.example 4`] = [a('1.1.1.1')]
    const { resolver, asked } = bench(zone)
    for (let i = 0; i <= 4096; i++) await resolver.resolve(`n${i}.example`)
    asked.length = 0
    await resolver.resolve('n4096.example')
    assert.equal(asked.length, 0)
    await resolver.resolve('n0.example')
    assert.equal(asked.length, 2)
  })
})

test('configured servers are asked directly', async (t) => {
  const server = createSocket('udp4')
  const names: string[] = []
  server.on('message', (question, peer) => {
    const { name, type, end } = questionOf(question)
    names.push(name)
    const answer = type === 1 ? Buffer.from('c00c00010001000000780004', 'hex') : Buffer.alloc(0)
    const address = type === 1 ? Buffer.from([93, 184, 216, 34]) : Buffer.alloc(0)
    const head = Buffer.from(question.subarray(0, 12))
    head.writeUInt16BE(0x8180, 2)
    head.writeUInt16BE(type === 1 ? 1 : 0, 6)
    head.writeUInt32BE(0, 8)
    server.send(Buffer.concat([head, question.subarray(12, end), answer, address]), peer.port, peer.address)
  })
  await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const servers = [`127.0.0.1:${server.address().port}`]
  const resolver = createResolver({ servers, clock: createFakeClock(), meter: aMeter(), system: bare })
  t.after(() => resolver.close())
  assert.deepEqual(await resolver.resolve('api.example'), ['93.184.216.34'])
  assert.ok(names.length === 2 && names.every((name) => name === 'api.example'))
})

function questionOf(packet: Buffer): { readonly name: string; readonly type: number; readonly end: number } {
  const labels: string[] = []
  let at = 12
  for (let length = packet[at] ?? 0; length > 0; length = packet[at] ?? 0) {
    labels.push(packet.toString('latin1', at + 1, at + 1 + length))
    at += 1 + length
  }
  return { name: labels.join('.').toLowerCase(), type: packet.readUInt16BE(at + 1), end: at + 5 }
}

describe('the system', () => {
  test('its hosts file: comments, aliases, several addresses of a name, junk', () => {
    const hosts = parseHosts(
      '127.0.0.1 localhost # me\n::1 localhost ip6-localhost\n\nnonsense here\n10.0.0.5\tDB db.internal\n# 1.2.3.4 no\n',
    )
    assert.deepEqual(
      [...hosts],
      [
        ['localhost', ['127.0.0.1', '::1']],
        ['ip6-localhost', ['::1']],
        ['db', ['10.0.0.5']],
        ['db.internal', ['10.0.0.5']],
      ],
    )
  })

  const rules: readonly [string, string, ReturnType<typeof parseSearchRules>][] = [
    ['nothing', '', { search: [], ndots: 1 }],
    ['search', 'nameserver 1.1.1.1\nsearch a.b. C', { search: ['a.b', 'c'], ndots: 1 }],
    ['the last of domain and search', 'domain a\nsearch b c\n', { search: ['b', 'c'], ndots: 1 }],
    [
      'Kubernetes',
      'search ns.svc.cluster.local svc.cluster.local\noptions ndots:5',
      { search: ['ns.svc.cluster.local', 'svc.cluster.local'], ndots: 5 },
    ],
    ['ndots over its limit', 'options ndots:99 rotate', { search: [], ndots: 15 }],
  ]
  for (const [name, text, wanted] of rules) {
    test(`its resolv.conf: ${name}`, () => assert.deepEqual(parseSearchRules(text), wanted))
  }

  test('its name servers: three at most, and what is none left out', () => {
    const text =
      'nameserver 10.96.0.10 # dns\nnameserver dns.internal\nnameserver fe80::1%eth0\n  nameserver ::1\n;nameserver 1.1.1.1\nnameserver'
    assert.deepEqual(parseServers(text), ['10.96.0.10', '::1'])
    assert.equal(parseServers('nameserver 1.1.1.1\n'.repeat(5)).length, 3)
  })

  const orders: readonly [string, number, readonly string[]][] = [
    ['api', 1, ['api.x', 'api.y', 'api']],
    ['api.example.com', 1, ['api.example.com', 'api.example.com.x', 'api.example.com.y']],
    ['api.example.com', 5, ['api.example.com.x', 'api.example.com.y', 'api.example.com']],
    ['api.', 5, ['api']],
  ]
  for (const [name, ndots, wanted] of orders) {
    test(`${name} with ndots ${ndots} is tried as ${wanted.join(', ')}`, () => {
      assert.deepEqual(candidates(name, { search: ['x', 'y'], ndots }), wanted)
    })
  }

  test('a changed hosts file is seen within a second, a missing one is empty', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'sallyport-'))
    t.after(() => rmSync(folder, { recursive: true }))
    const hosts = join(folder, 'hosts')
    const clock = createFakeClock()
    const names = createSystemNames(clock, { hosts, resolvConf: join(folder, 'none') })
    assert.deepEqual(names.hosts('db'), [])
    writeFileSync(hosts, '10.0.0.1 db\n')
    assert.deepEqual(names.hosts('db'), [])
    await clock.advance(1000)
    assert.deepEqual(names.hosts('db'), ['10.0.0.1'])
    writeFileSync(hosts, '10.0.0.2 db\n')
    utimesSync(hosts, 1, 1)
    await clock.advance(1000)
    assert.deepEqual(names.hosts('db'), ['10.0.0.2'])
    assert.deepEqual(names.searchRules(), { search: [], ndots: 1 })
  })
})
