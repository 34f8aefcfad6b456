import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { after, before, beforeEach, describe, it } from 'node:test'
import { type FaultProxy, startFaultProxy } from '../../lab/fault-proxy.ts'

/** Reads until the other side ends or resets. */
async function readAll(socket: Socket): Promise<{ text: string; reset: boolean }> {
  let text = ''
  let reset = false
  socket.on('data', (bytes: Buffer) => {
    text += bytes
  })
  socket.on('error', () => {
    reset = true
  })
  await new Promise((resolve) => socket.once('close', resolve))
  return { text, reset }
}

describe('the fault proxy', () => {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {})
    socket.on('data', (bytes) => socket.write(bytes)).on('end', () => socket.end())
  })
  let proxy: FaultProxy
  before(async () => {
    await once(server.listen(0, '127.0.0.1'), 'listening')
    proxy = await startFaultProxy({ port: (server.address() as AddressInfo).port })
  })
  beforeEach(() => proxy.heal())
  after(async () => {
    await proxy.close()
    server.close()
  })

  const echo = async (text: string): Promise<{ text: string; reset: boolean; ms: number }> => {
    const from = performance.now()
    const socket = connect(proxy.port, '127.0.0.1')
    const read = readAll(socket)
    socket.end(text)
    return { ...(await read), ms: performance.now() - from }
  }

  it('passes everything on when it has no fault', async () => {
    const { text, reset } = await echo('x'.repeat(300_000))
    assert.deepEqual([text.length, reset], [300_000, false])
  })

  it('delays both ways by the latency of each', async () => {
    proxy.set({ latencyMs: 60 }, 'up')
    proxy.set({ latencyMs: 40 }, 'down')
    const { text, ms } = await echo('hello')
    assert.equal(text, 'hello')
    assert.ok(ms >= 98, `${ms}`)
  })

  it('carries no more than its bandwidth', async () => {
    proxy.set({ bytesPerSecond: 10_000, sliceBytes: 100 }, 'down')
    const { text, ms } = await echo('x'.repeat(2000))
    assert.equal(text.length, 2000)
    assert.ok(ms >= 180, `${ms}`)
  })

  it('cuts a stream after so many bytes, by a reset or by an end', async () => {
    proxy.set({ cutAfterBytes: 3, cutBy: 'end' }, 'down')
    assert.deepEqual(await echo('hello').then(({ text, reset }) => ({ text, reset })), { text: 'hel', reset: false })
    proxy.set({ cutAfterBytes: 3, cutBy: 'reset' }, 'down')
    assert.equal((await echo('hello')).reset, true)
  })

  it('holds back everything while it is a black hole, and delivers it afterwards', async () => {
    proxy.set({ blackHole: true })
    const answer = echo('hello')
    const early = await Promise.race([answer, new Promise<null>((resolve) => setTimeout(resolve, 80, null))])
    assert.equal(early, null)
    proxy.heal()
    assert.equal((await answer).text, 'hello')
  })

  it('resets what it refuses and what it cuts', async () => {
    const open = connect(proxy.port, '127.0.0.1')
    open.write('hello')
    await once(open, 'data')
    const read = readAll(open)
    proxy.cut()
    assert.equal((await read).reset, true)
    proxy.refuse(true)
    assert.equal((await echo('hello')).reset, true)
  })
})
