import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { after, before, describe, test } from 'node:test'
import type { ErrorType } from '../../../src/errors/catalogue.ts'
import { GatewayError, type Sent } from '../../../src/errors/gateway-error.ts'
import { createCancellation } from '../../../src/model/cancellation.ts'
import { takeMemory } from '../../../src/model/give-back.ts'
import type { HopRequest } from '../../../src/model/hop.ts'
import { freePort } from '../../support/free-port.ts'
import {
  BEHAVIOURS,
  type Behaviour,
  type BehaviourName,
  createBlackHole,
  createRudeUpstream,
  type RudeUpstream,
} from '../../support/rude-upstream.ts'
import { aCaller, type Caller } from './support.ts'

const HELLO = '{"hello":"world"}'

async function failure(work: Promise<unknown>): Promise<GatewayError> {
  try {
    await work
  } catch (error) {
    assert.ok(error instanceof GatewayError, `not a GatewayError: ${error}`)
    return error
  }
  throw new assert.AssertionError({ message: 'expected a failure' })
}

async function untilFree(caller: Caller, upstream: RudeUpstream): Promise<void> {
  await caller.transport.close()
  await upstream.drained()
  assert.equal(caller.clock.pending, 0, 'a timer is still set')
  assert.deepEqual(caller.transport.sample(), { connections: 0, idle: 0 })
}

describe('a try', () => {
  let upstream: RudeUpstream
  before(async () => {
    upstream = await createRudeUpstream()
  })
  after(() => upstream.close())

  const get = (name: BehaviourName, caller: Caller, over?: Parameters<Caller['request']>[1]) => {
    const context = caller.context()
    return { context, answer: caller.transport.dispatch(caller.request(`/${name}`, over), context) }
  }

  describe('that is answered', () => {
    const answered: readonly [BehaviourName, string][] = [
      ['ok', HELLO],
      ['ok-then-closes', HELLO],
      ['http-1.0', HELLO],
      ['chunked', HELLO],
      ['slow-but-well', HELLO],
      ['gzip', HELLO],
      ['x-gzip', HELLO],
      ['deflate', HELLO],
      ['deflate-raw', HELLO],
      ['br', HELLO],
      ['zstd', HELLO],
      ['stacked', HELLO],
      ['unknown-coding', HELLO],
      ['empty-gzip', ''],
      ['100-then-ok', HELLO],
      ['103-then-ok', HELLO],
      ['long-body', HELLO.slice(0, 5)],
      ['204-with-body', ''],
      ['304-with-body', ''],
      ['204-with-unannounced-body', ''],
    ]
    for (const [name, body] of answered) {
      test(`gives the whole body: ${name}`, async () => {
        const caller = aCaller(upstream.origin)
        const { answer, context } = get(name, caller)
        const response = await answer
        assert.equal(response.body.toString(), body)
        const [attempt] = context.trail.attempts
        assert.equal(attempt?.status, response.status)
        assert.equal(attempt?.sent, 'yes')
        assert.equal(attempt?.address, '127.0.0.1')
        assert.equal(attempt?.reused, false)
        assert.ok((attempt?.connect ?? -1) >= 0 && (attempt?.firstByte ?? -1) >= 0)
        assert.ok((attempt?.elapsed ?? 0) >= response.elapsed)
        await untilFree(caller, upstream)
      })
    }

    test('keeps bytes beyond ASCII in headers as latin-1', async () => {
      const caller = aCaller(upstream.origin)
      const { rawHeaders } = await get('latin1-header', caller).answer
      assert.deepEqual(rawHeaders.slice(2, 4), ['X-Name', 'José'])
      await untilFree(caller, upstream)
    })

    test('has no body for HEAD, whatever the upstream sends', async () => {
      const caller = aCaller(upstream.origin)
      const response = await get('head-with-body', caller, { method: 'HEAD' }).answer
      assert.equal(response.body.length, 0)
      await untilFree(caller, upstream)
    })

    test('sends headers in order and case, and the body with its length', async () => {
      const caller = aCaller(upstream.origin)
      const context = caller.context()
      const headers = [
        ['X-B', '1'],
        ['accept', '*/*'],
        ['X-B', '2'],
      ] as const
      await caller.transport.dispatch(caller.request('/ok', { method: 'POST', headers, body: Buffer.from('hello') }), context)
      const seen = upstream.received.at(-1)
      assert.deepEqual(
        seen?.headers.map(([name, value]) => (name.toLowerCase() === 'host' ? name.toLowerCase() : `${name}: ${value}`)),
        ['host', 'connection: keep-alive', 'X-B: 1', 'accept: */*', 'X-B: 2', 'content-length: 5'],
      )
      assert.equal(seen?.body.toString(), 'hello')
      assert.equal(context.trail.bytesOut, 5)
      await untilFree(caller, upstream)
    })
  })

  describe('that fails', () => {
    interface Failing {
      readonly type: ErrorType
      readonly sent: Sent
      /** Status of the partial answer. */
      readonly partial?: number
      readonly status?: number
      readonly says: RegExp
      readonly plan?: Partial<HopRequest['plan']>
    }
    const failing: Partial<Record<BehaviourName, Failing>> = {
      'stalls-before-headers': {
        type: 'ReadTimeout',
        sent: 'maybe',
        says: /no byte of an answer .* 150 ms/,
        plan: { readMs: 150 },
      },
      'stalls-in-headers': {
        type: 'ReadTimeout',
        sent: 'yes',
        says: /no further byte of the response head .* 150 ms/,
        plan: { readMs: 150 },
      },
      'stalls-in-body': {
        type: 'ReadTimeout',
        sent: 'yes',
        partial: 200,
        says: /no further byte of the body/,
        plan: { readMs: 150 },
      },
      'closes-before-headers': { type: 'ConnectionError', sent: 'maybe', says: /closed the connection before it answered/ },
      'resets-before-headers': { type: 'ConnectionError', sent: 'maybe', says: /reset the connection before it answered/ },
      'resets-in-headers': { type: 'ConnectionError', sent: 'yes', says: /reset the connection/ },
      'closes-in-headers': { type: 'ConnectionError', sent: 'yes', says: /closed the connection/ },
      'resets-in-body': { type: 'ChunkedEncodingError', sent: 'yes', partial: 200, says: /broke the body off/ },
      'resets-close-delimited': { type: 'ChunkedEncodingError', sent: 'yes', partial: 200, says: /broke the body off/ },
      'short-body': { type: 'ChunkedEncodingError', sent: 'yes', partial: 200, says: /broke the body off/ },
      'short-chunked-body': { type: 'ChunkedEncodingError', sent: 'yes', partial: 200, says: /broke the body off/ },
      'bad-chunks': { type: 'ChunkedEncodingError', sent: 'yes', partial: 200, says: /chunks of the body/ },
      'bad-gzip': { type: 'ContentDecodingError', sent: 'yes', partial: 200, says: /content-encoding gzip/ },
      'truncated-gzip': { type: 'ContentDecodingError', sent: 'yes', partial: 200, says: /cut short/ },
      bomb: {
        type: 'ResponseTooLarge',
        sent: 'yes',
        partial: 200,
        says: /larger than 1000000 bytes/,
        plan: { maxResponseBytes: 1_000_000 },
      },
      'nested-bomb': {
        type: 'ResponseTooLarge',
        sent: 'yes',
        partial: 200,
        says: /larger than 1000000 bytes/,
        plan: { maxResponseBytes: 1_000_000 },
      },
      'endless-body': {
        type: 'ResponseTooLarge',
        sent: 'yes',
        partial: 200,
        says: /larger than/,
        plan: { maxResponseBytes: 3_000_000 },
      },
      'endless-interim-answers': { type: 'ConnectionError', sent: 'yes', says: /more than 20 interim/ },
      'switches-protocols': { type: 'ConnectionError', sent: 'yes', says: /closed the connection/ },
      'huge-headers': { type: 'ResponseTooLarge', sent: 'yes', says: /headers .* larger than 16384 bytes/ },
      '200-headers': { type: 'ResponseTooLarge', sent: 'yes', partial: 200, says: /202 response headers/ },
      'conflicting-content-length': { type: 'InvalidHeader', sent: 'yes', status: 502, says: /contradictory .*Content-Length/ },
      'length-and-chunked': { type: 'InvalidHeader', sent: 'yes', status: 502, says: /contradictory .*Content-Length/ },
      'bad-header': { type: 'InvalidHeader', sent: 'yes', status: 502, says: /malformed response header/ },
      garbage: { type: 'ConnectionError', sent: 'yes', says: /not HTTP/ },
      'status-42': { type: 'ConnectionError', sent: 'yes', says: /status 42/ },
    }
    for (const [name, wanted] of Object.entries(failing)) {
      test(`is ${wanted.type}, sent ${wanted.sent}: ${name}`, async () => {
        const caller = aCaller(upstream.origin)
        const { answer, context } = get(name as BehaviourName, caller, wanted.plan === undefined ? {} : { plan: wanted.plan })
        const error = await failure(answer)
        assert.equal(error.type, wanted.type, error.message)
        assert.match(error.message, wanted.says)
        assert.match(error.message, /127\.0\.0\.1/)
        assert.equal(error.sent, wanted.sent)
        assert.equal(error.response?.status, wanted.partial)
        if (wanted.status !== undefined) assert.equal(error.status, wanted.status)
        assert.equal(error.staleConnection, false)
        const [attempt] = context.trail.attempts
        assert.equal(attempt?.error, wanted.type)
        assert.equal(attempt?.sent, wanted.sent)
        assert.deepEqual(caller.meter.deeds.filter(([deed]) => deed === 'attemptEnded').length, 1)
        await untilFree(caller, upstream)
      })
    }
  })

  describe('and the read clock', () => {
    test('ends a silence within a few milliseconds of its time', async () => {
      const caller = aCaller(upstream.origin)
      await caller.transport.dispatch(caller.request('/ok'), caller.context())
      const begun = performance.now()
      await failure(get('stalls-in-body', caller, { plan: { readMs: 200 } }).answer)
      const took = performance.now() - begun
      assert.ok(took >= 198 && took < 760, `${took} ms`)
      await untilFree(caller, upstream)
    })

    for (const name of ['drips-headers', 'drips-body'] as const) {
      test(`is not what ends ${name}: bytes keep coming`, async () => {
        const caller = aCaller(upstream.origin)
        const cancellation = createCancellation()
        const context = caller.context({ cancellation })
        const answer = caller.transport.dispatch(caller.request(`/${name}`, { plan: { readMs: 150 } }), context)
        setTimeout(() => cancellation.cancel(new GatewayError('Timeout', 'total ran out')), 500)
        const error = await failure(answer)
        assert.equal(error.type, 'Timeout')
        assert.equal(error.sent, 'yes')
        assert.equal(error.response?.status, name === 'drips-body' ? 200 : undefined)
        await untilFree(caller, upstream)
      })
    }

    test('does not run while a large request body goes out', async (t) => {
      const slow = await createRudeUpstream({ onConnect: 'never-reads' })
      t.after(() => slow.close())
      const caller = aCaller(slow.origin)
      const cancellation = createCancellation()
      const body = Buffer.alloc(32 * 1024 * 1024)
      const request = caller.request('/x', { method: 'POST', body, plan: { readMs: 100 } })
      const answer = caller.transport.dispatch(request, caller.context({ cancellation }))
      setTimeout(() => cancellation.cancel(new GatewayError('Timeout', 'total ran out')), 400)
      assert.equal((await failure(answer)).type, 'Timeout')
      await caller.transport.close()
      assert.equal(caller.clock.pending, 0)
    })
  })

  describe('that is cancelled', () => {
    test('before it began costs nothing and is no attempt', async () => {
      const caller = aCaller(upstream.origin)
      const cancellation = createCancellation()
      const reason = new GatewayError('Cancelled', 'the caller hung up')
      cancellation.cancel(reason)
      const context = caller.context({ cancellation })
      assert.equal(await failure(caller.transport.dispatch(caller.request('/ok'), context)), reason)
      assert.equal(context.trail.attempts.length, 0)
      assert.deepEqual(caller.transport.sample(), { connections: 0, idle: 0 })
    })

    for (const name of ['stalls-before-headers', 'stalls-in-headers', 'stalls-in-body'] as const) {
      test(`ends at once and frees everything: ${name}`, async () => {
        const caller = aCaller(upstream.origin)
        const cancellation = createCancellation()
        const context = caller.context({ cancellation })
        const answer = caller.transport.dispatch(caller.request(`/${name}`), context)
        setTimeout(() => cancellation.cancel(new GatewayError('Cancelled', 'the caller hung up')), 60)
        assert.equal((await failure(answer)).type, 'Cancelled')
        assert.equal(caller.clock.pending, 0)
        await upstream.drained()
        assert.deepEqual(caller.transport.sample(), { connections: 0, idle: 0 })
      })
    }

    test('between two requests of one connection closes it unharmed', async () => {
      const caller = aCaller(upstream.origin)
      await caller.transport.dispatch(caller.request('/ok'), caller.context())
      const cancellation = createCancellation()
      const answer = caller.transport.dispatch(caller.request('/ok'), caller.context({ cancellation }))
      queueMicrotask(() => cancellation.cancel(new GatewayError('Cancelled', 'the caller hung up')))
      const error = await failure(answer)
      assert.equal(error.type, 'Cancelled')
      assert.equal(error.sent, 'no')
      await untilFree(caller, upstream)
    })
  })
})

describe('a large body that breaks off', () => {
  const MARK = 'what came of it '
  const LENGTH = 12_000_017
  /** More than the kernel holds back, so that some was read once all of it is written. */
  const PART = MARK.repeat(700_000)

  for (const [what, how] of [
    ['the connection is cut', (socket: Socket) => void socket.destroySoon()],
    ['the caller hangs up', (_: Socket, cancel: () => void) => cancel()],
  ] as const)
    test(`gives its memory back: ${what}`, async (t) => {
      const cancellation = createCancellation()
      const server = createServer((socket) => {
        const cancel = () => cancellation.cancel(new GatewayError('Cancelled', 'the caller hung up'))
        socket
          .on('error', () => {})
          .once('data', () => {
            socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${LENGTH}\r\n\r\n${PART}`, () => how(socket, cancel))
          })
      }).listen(0, '127.0.0.1')
      t.after(() => server.close())
      await once(server, 'listening')
      const caller = aCaller(`http://127.0.0.1:${(server.address() as AddressInfo).port}`)
      const request = caller.request('/', { plan: { maxResponseBytes: LENGTH } })
      const error = await failure(caller.transport.dispatch(request, caller.context({ cancellation })))
      assert.equal(error.response?.status, 200)
      assert.equal(takeMemory(LENGTH).toString('latin1', 0, MARK.length), MARK)
      await caller.transport.close()
    })
})

describe('a connection that is not made', () => {
  test('because nobody listens is ConnectionError, nothing sent', async () => {
    const port = await freePort()
    const caller = aCaller(`http://127.0.0.1:${port}`)
    const error = await failure(caller.transport.dispatch(caller.request('/'), caller.context()))
    assert.equal(error.type, 'ConnectionError')
    assert.equal(error.message, `connection refused by 127.0.0.1 (port ${port}); check that it is up`)
    assert.equal(error.sent, 'no')
    assert.equal(caller.clock.pending, 0)
    assert.deepEqual(caller.transport.sample(), { connections: 0, idle: 0 })
  })

  test('within the connect clock is ConnectTimeout, on time, saying what was waited for', async (t) => {
    const hole = await createBlackHole()
    t.after(() => hole.close())
    const caller = aCaller(`http://127.0.0.1:${hole.port}`)
    const begun = performance.now()
    const error = await failure(caller.transport.dispatch(caller.request('/', { plan: { connectMs: 150 } }), caller.context()))
    const took = performance.now() - begun
    assert.equal(error.type, 'ConnectTimeout')
    assert.match(error.message, /within 150 ms: waiting for TCP/)
    assert.ok(took >= 149 && took < 720, `${took} ms`)
    assert.deepEqual(caller.transport.sample(), { connections: 0, idle: 0 })
    assert.equal(caller.clock.pending, 0)
  })

  test('because its call ended while it was dialled leaves nothing behind', async (t) => {
    const hole = await createBlackHole()
    t.after(() => hole.close())
    const caller = aCaller(`http://127.0.0.1:${hole.port}`)
    const cancellation = createCancellation()
    const context = caller.context({ cancellation })
    const answer = caller.transport.dispatch(caller.request('/'), context)
    setTimeout(() => cancellation.cancel(new GatewayError('Timeout', 'total ran out')), 50)
    assert.equal((await failure(answer)).type, 'Timeout')
    assert.equal(context.trail.attempts[0]?.error, 'Timeout')
    assert.equal(context.trail.attempts[0]?.sent, 'no')
    assert.equal(caller.clock.pending, 0)
  })

  for (const onConnect of ['closes', 'resets'] as const) {
    test(`for long, since the upstream ${onConnect} it at once, is a failure and no loop`, async (t) => {
      const upstream = await createRudeUpstream({ onConnect })
      t.after(() => upstream.close())
      const caller = aCaller(upstream.origin)
      const error = await failure(caller.transport.dispatch(caller.request('/'), caller.context()))
      assert.equal(error.type, 'ConnectionError')
      assert.ok(upstream.accepted <= 1)
      await untilFree(caller, upstream)
    })
  }
})

describe('a pooled connection', () => {
  let upstream: RudeUpstream
  before(async () => {
    upstream = await createRudeUpstream()
  })
  after(() => upstream.close())

  const send = async (caller: Caller, path: string) => {
    const context = caller.context()
    const answer = caller.transport.dispatch(caller.request(path), context)
    return { body: (await answer).body.toString(), attempts: context.trail.attempts }
  }

  test('is used again, and the ledger says so', async () => {
    const caller = aCaller(upstream.origin)
    await send(caller, '/ok')
    const { attempts } = await send(caller, '/ok')
    assert.equal(attempts[0]?.reused, true)
    assert.equal(attempts[0]?.connect, null)
    assert.deepEqual(caller.transport.sample(), { connections: 1, idle: 1 })
    await untilFree(caller, upstream)
  })

  for (const name of [
    'unsolicited-second-response',
    'unsolicited-later',
    '204-with-unannounced-body',
    '204-with-body',
  ] as const) {
    test(`never gives the next caller what nobody asked for: ${name}`, async () => {
      const caller = aCaller(upstream.origin)
      await send(caller, `/${name}`)
      await new Promise((resolve) => setTimeout(resolve, 60))
      const { body, attempts } = await send(caller, '/ok')
      assert.equal(body, HELLO)
      assert.equal(attempts.length, 1)
      assert.equal(attempts[0]?.reused, false)
      await untilFree(caller, upstream)
    })
  }

  test('that dies under the request before a byte of an answer is told apart', async () => {
    const caller = aCaller(upstream.origin)
    await send(caller, '/dies-on-reuse')
    const error = await failure(send(caller, '/dies-on-reuse'))
    assert.equal(error.type, 'ConnectionError')
    assert.equal(error.sent, 'maybe')
    assert.equal(error.staleConnection, true)
    await untilFree(caller, upstream)
  })

  test('that proves dead before the request was begun is no attempt at all', async (t) => {
    let kept: Socket | undefined
    const keeps: Behaviour = (socket) => {
      kept = socket
      BEHAVIOURS.ok(socket)
    }
    const own = await createRudeUpstream({ behaviours: { keeps } })
    t.after(() => own.close())
    const caller = aCaller(own.origin)
    for (const phase of [setImmediate, queueMicrotask]) {
      await send(caller, '/keeps')
      await new Promise<void>((resolve) => phase(resolve))
      // The reset is with the kernel already, but the loop has not told of it when the connection is taken.
      kept?.resetAndDestroy()
      const { body, attempts } = await send(caller, '/ok')
      assert.equal(body, HELLO)
      assert.equal(attempts.length, 1)
      assert.equal(attempts[0]?.reused, false)
    }
    assert.equal(own.received.length, 4)
    await untilFree(caller, own)
  })

  test('is closed when it has been idle for long', async () => {
    const caller = aCaller(upstream.origin, { adapter: { pool: { connections: 10, idleMs: 60, http2: false } } })
    await send(caller, '/ok')
    await upstream.drained(1000)
    assert.deepEqual(caller.transport.sample(), { connections: 0, idle: 0 })
  })

  test('is waited for where the pool is full, within the connect clock', async () => {
    const caller = aCaller(upstream.origin, { adapter: { pool: { connections: 1, idleMs: 60_000, http2: false } } })
    const first = send(caller, '/slow-but-well')
    const second = send(caller, '/ok')
    const late = caller.transport.dispatch(caller.request('/ok', { plan: { connectMs: 20 } }), caller.context())
    const error = await failure(late)
    assert.equal(error.type, 'ConnectTimeout')
    assert.match(error.message, /all 1 connections to it are taken/)
    assert.equal((await first).body, HELLO)
    assert.equal((await second).attempts[0]?.reused, true)
    await untilFree(caller, upstream)
  })

  test('ends with destroy, calls under way included', async () => {
    const caller = aCaller(upstream.origin)
    const pending = failure(send(caller, '/stalls-in-body'))
    await new Promise((resolve) => setTimeout(resolve, 50))
    caller.transport.destroy()
    assert.equal((await pending).type, 'ChunkedEncodingError')
    await untilFree(caller, upstream)
  })

  test('is let finish by close', async () => {
    const caller = aCaller(upstream.origin)
    const pending = send(caller, '/slow-but-well')
    await new Promise((resolve) => setTimeout(resolve, 20))
    const closed = caller.transport.close()
    assert.equal((await pending).body, HELLO)
    await closed
    await untilFree(caller, upstream)
  })
})
