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
import { residentBytes } from '../bench/measure.ts'
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
  const big = `HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: ${MIB}\r\n\r\n${'x'.repeat(MIB)}`

  before(async () => {
    upstream = await createRudeUpstream({ behaviours: { big: (socket) => void socket.write(big) } })
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
    let seen = -1
    // What the system's buffers take counts as read; then nothing goes on.
    await until(
      'no further call is begun',
      async () => {
        const stands = seen === calls()
        seen = calls()
        if (!stands) await pause(500)
        return stands
      },
      20_000,
    )
    await assertServed()
    const grown = (residentBytes(gateway.pid) - empty) / MIB
    t.diagnostic(`${grown.toFixed(0)} MiB, ${calls()} of ${crowd.length * 20} calls made`)
    assert.ok(calls() < crowd.length * 10, `${calls()} calls`)
    assert.ok(grown < crowd.length * 6, `${grown.toFixed(0)} MiB`)
    leave(crowd)
    await assertServed()
  })
})
