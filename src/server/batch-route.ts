// POST /v1/batch: many descriptors in, their envelopes out, in order or each as it ends. Each item is a call of its own; this
// file only runs them side by side and writes what comes, no faster than the caller reads.
import { parseBatch } from '../descriptor/parse-batch.ts'
import type { GatewayError } from '../errors/gateway-error.ts'
import { lengthOf, piecesOf } from '../model/answer-body.ts'
import { type Cancellation, createCancellation } from '../model/cancellation.ts'
import type { Gateway } from '../model/gateway-port.ts'
import { incoming, type Serve } from './call-route.ts'
import { type HttpExchange, writeHead } from './http-exchange.ts'

export interface BatchOptions {
  /** Bytes of finished envelopes that may wait to be written; beyond it no further item is begun. */
  readonly heldLimit: number
  readonly answerMs: number
}

type Chunks = readonly Uint8Array[]

export interface BatchPorts {
  readonly gateway: Gateway
  /** Asked for each item. */
  readonly overload: () => GatewayError | null
}

export function createBatchServe(options: BatchOptions, { gateway, overload }: BatchPorts): Serve<HttpExchange> {
  return async (exchange, caller, body) => {
    const { items, concurrency } = parseBatch(body)
    const calls = watchItems(exchange)
    const asLines = wantsLines(exchange.req.headers.accept)
    writeHead(exchange, 200, ['Content-Type', asLines ? 'application/x-ndjson' : 'application/json'])
    const flow = createFlow(exchange, options)
    const sink = asLines ? lineSink(flow) : orderedSink(flow)
    let next = 0
    const work = async (): Promise<void> => {
      while (next < items.length) {
        const index = next++
        const item = items[index]
        if (item === undefined || exchange.res.destroyed) return
        const requestId = `${exchange.requestId}-${index}`
        const refusal = overload()
        if (refusal) {
          sink.deliver(index, piecesOf(gateway.refuse(refusal, { entrance: 'batch', requestId, caller: caller.name }).body))
        } else {
          const cancellation = calls.begin()
          const { body } = await gateway.call(incoming(exchange, requestId, caller, item, cancellation))
          sink.deliver(index, piecesOf(body))
          calls.end(cancellation)
        }
        await flow.room(sink.held)
      }
    }
    await Promise.all(Array.from({ length: Math.min(concurrency, items.length) }, work))
    if (!exchange.res.destroyed) sink.end()
    return null
  }
}

/** The cancellations of the items under way; those begun after the exchange was stopped are stopped from the start. */
function watchItems(exchange: HttpExchange): { begin(): Cancellation; end(cancellation: Cancellation): void } {
  const running = new Set<Cancellation>()
  let stopped: GatewayError | null = null
  exchange.stop = (reason) => {
    stopped = reason
    for (const cancellation of running) cancellation.cancel(reason)
  }
  return {
    begin() {
      const cancellation = createCancellation()
      if (stopped) cancellation.cancel(stopped)
      running.add(cancellation)
      return cancellation
    },
    end: (cancellation) => void running.delete(cancellation),
  }
}

interface Flow {
  write(chunks: Chunks): void
  end(chunks: Chunks): void
  /** Resolves when less than the limit waits to be written, what the sink holds included, or the caller is gone. */
  room(held: () => number): Promise<void>
}

function createFlow({ res }: HttpExchange, options: BatchOptions): Flow {
  let waiters: (() => void)[] = []
  const wake = (): void => {
    const woken = waiters
    waiters = []
    for (const waiter of woken) waiter()
  }
  res.on('close', wake).on('drain', () => {
    res.socket?.setTimeout(0)
    wake()
  })
  const write = (chunks: Chunks): void => {
    if (res.destroyed) return
    res.cork()
    for (const chunk of chunks) res.write(chunk)
    res.uncork()
    // The clock runs only while the caller takes nothing.
    if (res.writableNeedDrain) res.socket?.setTimeout(options.answerMs)
    wake()
  }
  return {
    write,
    end(chunks) {
      write(chunks)
      res.end()
    },
    async room(held) {
      while (!res.destroyed && held() + res.writableLength > options.heldLimit)
        await new Promise<void>((resolve) => waiters.push(resolve))
    },
  }
}

interface Sink {
  deliver(index: number, envelope: Chunks): void
  end(): void
  /** Bytes kept back because an earlier item has not ended. */
  held(): number
}

const text = (value: string): Buffer => Buffer.from(value)
const OPEN = text('{"responses":[')
const COMMA = text(',')
const CLOSE = text(']}')

function orderedSink(flow: Flow): Sink {
  const waiting = new Map<number, Chunks>()
  let next = 0
  let held = 0
  return {
    deliver(index, envelope) {
      waiting.set(index, envelope)
      held += lengthOf(envelope)
      for (let chunks = waiting.get(next); chunks; chunks = waiting.get(next)) {
        waiting.delete(next)
        held -= lengthOf(chunks)
        flow.write([next === 0 ? OPEN : COMMA, ...chunks])
        next++
      }
    },
    end: () => flow.end(next === 0 ? [OPEN, CLOSE] : [CLOSE]),
    held: () => held,
  }
}

function lineSink(flow: Flow): Sink {
  return {
    deliver: (index, envelope) =>
      flow.write([text(`{"index":${index},"response":`), ...envelope.map(withoutLineEnds), text('}\n')]),
    end: () => flow.end([]),
    held: () => 0,
  }
}

/**
 * An upstream's JSON stands in the envelope as it came, and may have been written over several lines. Inside strings JSON has
 * no bare line end, so every one found is white space.
 */
function withoutLineEnds(chunk: Uint8Array): Uint8Array {
  if (!chunk.includes(0x0a) && !chunk.includes(0x0d)) return chunk
  return chunk.map((byte) => (byte === 0x0a || byte === 0x0d ? 0x20 : byte))
}

function wantsLines(accept: string | undefined): boolean {
  return (accept ?? '').split(',').some((range) => {
    const [type = '', ...parameters] = range.split(';').map((part) => part.trim().toLowerCase())
    return type === 'application/x-ndjson' && !parameters.some((parameter) => /^q=0(?:\.0*)?$/.test(parameter))
  })
}
