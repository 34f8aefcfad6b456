// Callers by the thousand who do nothing, send by drops, or never read: the gateway's memory stays bounded, and everybody
// else is served. The gateway is a process of its own, so that its memory is told.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { cpuMicros, residentBytes } from '../bench/measure.ts'
import { KEY, type Server, startGateway } from '../bench/servers.ts'
import { createRudeUpstream, type RudeUpstream } from '../support/rude-upstream.ts'
import { pause, until } from '../support/wire.ts'

const MIB = 1024 * 1024
const HEADERS = { 'content-type': 'application/json', 'x-sallyport-key': KEY }
/** Half of the descriptors that a process may have are left to the rest of the test and of the gateway. */
const IDLE = Math.min(10_000, Math.floor(Number(execFileSync('sh', ['-c', 'ulimit -n']).toString()) / 2) || 10_000)

describe('a crowd of callers', { skip: process.platform !== 'linux' && 'memory is read from /proc' }, () => {
  let upstream: RudeUpstream
  let gateway: Server
  let port: number
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-crowds-'))
  const sockets = new Set<Socket>()
  /** Upstream connections with an answer that has not come to its end. */
  const unread = new Set<Socket>()
  const withoutEnd = (start: (socket: Socket) => void) => (socket: Socket) => {
    unread.add(socket)
    socket.on('close', () => unread.delete(socket))
    start(socket)
  }
  const big = `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${MIB}\r\n\r\n${'x'.repeat(MIB)}`

  before(async () => {
    upstream = await createRudeUpstream({
      behaviours: {
        big: (socket) => void socket.write(big),
        'slow-body': withoutEnd((socket) => void socket.write(big.slice(0, MIB / 2))),
        'body-without-end': withoutEnd((socket) =>
          flood(socket, 'HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n', 'x'.repeat(65_536)),
        ),
        'head-without-end': withoutEnd((socket) => flood(socket, 'HTTP/1.1 200 OK\r\n', `X-Flood: ${'x'.repeat(2000)}\r\n`)),
        'headers-by-thousands': withoutEnd((socket) => flood(socket, 'HTTP/1.1 200 OK\r\n', 'a:b\r\n'.repeat(1000))),
      },
    })
    gateway = await startGateway(upstream.origin, join(folder, 'gateway'), {
      adapter: { breaker: false },
      root: {
        listen: { port: 0, connections: 20_000, headTimeout: '1s', bodyTimeout: '2s' },
        callers: [{ name: 'bench', keys: [KEY], admin: true, may: [{ adapter: 'bench' }] }],
        overload: { eventLoopDelay: '1m' },
      },
    })
    port = Number(new URL(gateway.url).port)
  })
  after(async () => {
    for (const socket of sockets) socket.destroy()
    gateway.stop()
    await upstream.close()
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  })

  /** `text` is what it sends first. */
  const open = async (text = ''): Promise<Socket> => {
    const socket = connect({ port, host: '127.0.0.1' })
    sockets.add(socket)
    socket.on('error', () => {}).on('close', () => sockets.delete(socket))
    await once(socket, 'connect')
    if (text !== '') socket.write(text)
    return socket
  }
  const openMany = async (count: number, text = ''): Promise<Socket[]> => {
    const opened: Socket[] = []
    for (let left = count; left > 0; left -= 200)
      opened.push(...(await Promise.all(Array.from({ length: Math.min(200, left) }, () => open(text)))))
    return opened
  }
  const leave = (crowd: readonly Socket[]): void => {
    for (const socket of crowd) socket.destroy()
  }
  const post = (path: string, body: unknown): Promise<Response> =>
    fetch(gateway.url + path, { method: 'POST', headers: HEADERS, body: JSON.stringify(body) })
  /** As bytes: a call of this path of the upstream. */
  const requestOf = (path: string): string => {
    const body = JSON.stringify({ url: upstream.origin + path })
    return `POST /v1/requests HTTP/1.1\r\nHost: x\r\nX-Sallyport-Key: ${KEY}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`
  }
  const assertServed = async (): Promise<void> => {
    assert.equal((await post('/v1/requests', { url: `${upstream.origin}/ok` })).status, 200)
    for (const path of ['/healthz', '/readyz', '/metrics', '/v1/admin/adapters'])
      assert.equal((await fetch(gateway.url + path, { headers: HEADERS })).status, 200, path)
  }

  it(`${IDLE} connections that say nothing cost little each, and calls go on`, async (t) => {
    await assertServed()
    const empty = residentBytes(gateway.pid)
    const crowd = await openMany(IDLE)
    await assertServed()
    const each = (residentBytes(gateway.pid) - empty) / IDLE / 1024
    t.diagnostic(`${each.toFixed(1)} KiB a connection`)
    assert.ok(each < 40, `${each.toFixed(1)} KiB a connection`)
    leave(crowd)
  })

  it('hundreds who send their heads and bodies by drops are let go of in time, and calls go on', async () => {
    const heads = await openMany(200, 'POST /v1/requests HTTP/1.1\r\nHost: x\r\nX-Drop: ')
    const start = `POST /v1/requests HTTP/1.1\r\nHost: x\r\nX-Sallyport-Key: ${KEY}\r\nContent-Type: application/json\r\nContent-Length: 9999\r\n\r\n{`
    const bodies = await openMany(200, start)
    const crowd = [...heads, ...bodies]
    for (const socket of crowd) socket.resume()
    const drops = setInterval(() => {
      for (const socket of crowd) if (socket.writable) socket.write(' ')
    }, 300)
    await assertServed()
    await until('all of them are gone', () => crowd.every((socket) => socket.closed), 20_000).finally(() => clearInterval(drops))
    await assertServed()
  })

  it('callers who never read their answers hold no more than these', async (t) => {
    await assertServed()
    const empty = residentBytes(gateway.pid)
    const crowd = await openMany(60)
    for (const socket of crowd) socket.pause().write(requestOf('/big'))
    await until('each has a call answered', () => upstream.received.length >= crowd.length, 15_000)
    await assertServed()
    const grown = (residentBytes(gateway.pid) - empty) / MIB
    t.diagnostic(`${grown.toFixed(0)} MiB for ${crowd.length} answers of 1 MiB not taken, ${upstream.received.length} calls made`)
    assert.ok(grown < crowd.length * 6, `${grown.toFixed(0)} MiB`)
    leave(crowd)
    await assertServed()
  })

  it('those who send twenty requests each and never read an answer hold no more than those who send one', async (t) => {
    await assertServed()
    const empty = residentBytes(gateway.pid)
    const before = upstream.received.length
    const crowd = await openMany(60)
    for (const socket of crowd) socket.pause().write(requestOf('/big').repeat(20))
    const calls = (): number => upstream.received.length - before
    await until('each has a call answered', () => calls() >= crowd.length, 15_000)
    await standstill(calls)
    await assertServed()
    const grown = (residentBytes(gateway.pid) - empty) / MIB
    t.diagnostic(`${grown.toFixed(0)} MiB, ${calls()} of ${crowd.length * 20} calls made`)
    assert.ok(calls() < crowd.length * 10, `${calls()} calls`)
    assert.ok(grown < crowd.length * 6, `${grown.toFixed(0)} MiB`)
    leave(crowd)
    await assertServed()
  })

  it('batches of 1,000 whose answers nobody reads stop where their bound is, and calls go on', async (t) => {
    await assertServed()
    const empty = residentBytes(gateway.pid)
    const requests = Array.from({ length: 1000 }, () => ({ url: `${upstream.origin}/big` }))
    const body = JSON.stringify({ requests, concurrency: 8 })
    const crowd = await openMany(3)
    const head = `POST /v1/batch HTTP/1.1\r\nHost: x\r\nX-Sallyport-Key: ${KEY}\r\nContent-Type: application/json\r\n`
    const before = upstream.received.length
    const calls = (): number => upstream.received.length - before
    for (const socket of crowd) socket.pause().write(`${head}Content-Length: ${body.length}\r\n\r\n${body}`)
    await until('they have begun', () => calls() >= 30, 15_000)
    await standstill(calls)
    await assertServed()
    const grown = (residentBytes(gateway.pid) - empty) / MIB
    t.diagnostic(`${grown.toFixed(0)} MiB for ${crowd.length} batches, ${calls()} of ${crowd.length * 1000} calls made`)
    assert.ok(calls() < crowd.length * 100, `${calls()} calls`)
    assert.ok(grown < crowd.length * 150, `${grown.toFixed(0)} MiB`)
    leave(crowd)
    await assertServed()
  })

  it('upstream bodies whose callers have gone are not read on', async () => {
    await assertServed()
    const crowd = await openMany(60)
    for (const socket of crowd) socket.write(requestOf('/slow-body'))
    await until('all of them are under way', () => unread.size === crowd.length, 15_000)
    leave(crowd)
    await until('none of them is read any more', () => unread.size === 0, 5000)
    await assertServed()
  })

  it('upstream bodies, heads and headers without end are cut off, and calls go on', async (t) => {
    await assertServed()
    const empty = residentBytes(gateway.pid)
    for (const path of ['body-without-end', 'head-without-end', 'headers-by-thousands']) {
      const call = { url: `${upstream.origin}/${path}`, maxRetries: 0, maxResponseSize: '1MiB' }
      const from = cpuMicros(gateway.pid)
      const answers = Array.from({ length: 20 }, () => post('/v1/requests', call))
      await assertServed()
      for (const answer of await Promise.all(answers)) {
        const { error } = (await answer.json()) as { error: { type: string } }
        assert.deepEqual([answer.status, error.type], [502, 'ResponseTooLarge'], path)
      }
      const each = (cpuMicros(gateway.pid) - from) / 20_000
      t.diagnostic(`${each.toFixed(0)} ms of the processor for each ${path}`)
      assert.ok(each < 100, `${each} ms for each ${path}`) // it was 200 where each header beyond the bound had an error of its own
    }
    const grown = (residentBytes(gateway.pid) - empty) / MIB
    t.diagnostic(`${grown.toFixed(0)} MiB`)
    assert.ok(grown < 200, `${grown.toFixed(0)} MiB`)
    await until('none of them is read any more', () => unread.size === 0, 5000)
  })

  it('callers who send heads without end are refused, with little held of each, and calls go on', async (t) => {
    await assertServed()
    const empty = residentBytes(gateway.pid)
    const crowd = await openMany(300)
    const answers = crowd.map(async (socket) => {
      let text = ''
      for await (const chunk of socket) text += chunk
      return text.slice(0, 12)
    })
    for (const header of ['a:b\r\n', `X-Long: ${'x'.repeat(1000)}\r\n`]) {
      const half = header.length < 10 ? crowd.slice(0, 150) : crowd.slice(150)
      const start = `POST /v1/requests HTTP/1.1\r\nHost: x\r\n${header.repeat(Math.floor(15_000 / header.length))}`
      for (const socket of half) socket.write(start)
    }
    await assertServed()
    const grown = (residentBytes(gateway.pid) - empty) / MIB
    t.diagnostic(`${grown.toFixed(0)} MiB for ${crowd.length} heads of 15 KB`)
    assert.ok(grown < 100, `${grown.toFixed(0)} MiB`)
    for (const socket of crowd) socket.write('a:b\r\n'.repeat(500))
    // 408 where the machine was so busy that the clock of the head ran out first.
    for (const answer of await Promise.all(answers)) assert.match(answer, /^HTTP\/1\.1 (?:431|408)$/)
    await assertServed()
  })
})

/** As fast as it is taken, until it is closed. */
function flood(socket: Socket, first: string, piece: string): void {
  socket.write(first)
  const more = (): void => {
    while (!socket.destroyed && socket.write(piece)) {}
  }
  socket.on('drain', more)
  more()
}

/** What the system's buffers take counts as read; then nothing goes on. */
async function standstill(count: () => number): Promise<void> {
  let seen = -1
  const stands = async (): Promise<boolean> => {
    const still = seen === count()
    seen = count()
    if (!still) await pause(500)
    return still
  }
  await until('nothing further is begun', stands, 20_000)
}
