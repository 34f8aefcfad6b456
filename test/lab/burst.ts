// A child process that calls a gateway with nothing in the way: prepared bytes over bare sockets, so that one process can offer
// more than a gateway can bear. Open loop: so many calls a second whatever becomes of them, each given up after its patience.
// Closed loop: so many callers, each of whom begins again when it is answered.
import { connect, type Socket } from 'node:net'

export interface BurstOrder {
  readonly port: number
  readonly seconds: number
  /** Open loop at this rate, or closed loop with so many callers. */
  readonly load: { readonly perSecond: number } | { readonly callers: number }
  readonly patienceMs: number
  /** Of every request: head and body. */
  readonly request: string
}

export interface BurstReport {
  readonly offered: number
  /** ok: 200 in time; an error type; gave up; dropped: the connection was closed without an answer. */
  readonly outcomes: Readonly<Record<string, number>>
  /** By when they were begun, in steps of STEP_MS: all, and those that were answered well. */
  readonly steps: readonly { readonly offered: number; readonly good: number }[]
  readonly p99Ms: number
  readonly seconds: number
}

export const STEP_MS = 100
const TICK_MS = 5
/** Beyond it a call is counted as one that found no connection: what the descriptors of a process allow. */
const MOST_CONNECTIONS = 8000
const HEAD_END = '\r\n\r\n'

interface Call {
  readonly begunAt: number
  over: boolean
}

interface Line {
  readonly socket: Socket
  call: Call | null
  /** Of the answer that is arriving. */
  head: string
  left: number
}

export function runBurst({ port, seconds, load, patienceMs, request }: BurstOrder): Promise<BurstReport> {
  const bytes = Buffer.from(request)
  const outcomes: Record<string, number> = {}
  const steps: { offered: number; good: number }[] = []
  const times: number[] = []
  const idle: Line[] = []
  const lines = new Set<Line>()
  const pending: { call: Call; line: Line | null }[] = []
  const startedAt = performance.now()
  let offered = 0
  let ended = 0
  let closing = false

  const settle = (call: Call, outcome: string): void => {
    if (call.over) return
    call.over = true
    ended++
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1
    if (outcome !== 'ok') return
    times.push(performance.now() - call.begunAt)
    const step = steps[Math.floor((call.begunAt - startedAt) / STEP_MS)]
    if (step) step.good++
  }

  const free = (line: Line, outcome: string, stays: boolean): void => {
    const { call } = line
    line.call = null
    line.head = ''
    if (call) settle(call, outcome)
    if (!stays) line.socket.destroy()
    else if ('callers' in load && !closing) send(line)
    else idle.push(line)
  }

  const take = (line: Line, chunk: Buffer): void => {
    if (line.left > 0) {
      line.left -= chunk.length
      if (line.left <= 0) finish(line)
      return
    }
    line.head += chunk.toString('latin1')
    const end = line.head.indexOf(HEAD_END)
    if (end < 0) return
    const length = Number(/content-length: (\d+)/i.exec(line.head)?.[1] ?? 0)
    line.left = length - (line.head.length - end - HEAD_END.length)
    // A refusal is short and is awaited whole for its type; of a good answer only the length counts.
    if (line.left <= 0) finish(line)
  }

  const finish = (line: Line): void => {
    line.left = 0
    const { head } = line
    const ok = head.startsWith('HTTP/1.1 200')
    free(line, ok ? 'ok' : typeOf(head), !/^connection: close/im.test(head.slice(0, head.indexOf(HEAD_END))))
  }

  const open = (): Line | null => {
    if (lines.size >= MOST_CONNECTIONS) return null
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const line: Line = { socket, call: null, head: '', left: 0 }
    lines.add(line)
    socket.on('data', (chunk: Buffer) => take(line, chunk)).on('error', () => {})
    socket.on('close', () => {
      lines.delete(line)
      const at = idle.indexOf(line)
      if (at >= 0) idle.splice(at, 1)
      if (line.call) settle(line.call, 'dropped')
      line.call = null
      if ('callers' in load && !closing) begin()
    })
    return line
  }

  const send = (line: Line | null): void => {
    const call: Call = { begunAt: performance.now(), over: false }
    const at = Math.floor((call.begunAt - startedAt) / STEP_MS)
    while (steps.length <= at) steps.push({ offered: 0, good: 0 })
    const step = steps[at]
    if (step) step.offered++
    offered++
    pending.push({ call, line })
    if (line === null) settle(call, 'no connection')
    else {
      line.call = call
      line.socket.write(bytes)
    }
  }

  const begin = (): void => send(idle.pop() ?? open())

  const giveUp = (): void => {
    const before = performance.now() - patienceMs
    let passed = 0
    for (const { call, line } of pending) {
      if (!call.over && call.begunAt > before) break
      passed++
      if (call.over) continue
      settle(call, 'gave up')
      if (line?.call === call) {
        line.call = null
        line.socket.destroy()
      }
    }
    pending.splice(0, passed)
  }

  return new Promise((resolve) => {
    if ('callers' in load) for (let caller = 0; caller < load.callers; caller++) begin()
    const timer = setInterval(() => {
      const sinceMs = performance.now() - startedAt
      setImmediate(giveUp) // first what has arrived is read, however late this process itself is
      if (sinceMs < seconds * 1000) {
        if ('perSecond' in load) for (const due = (sinceMs / 1000) * load.perSecond; offered < due; ) begin()
        return
      }
      closing = true
      if (ended < offered) return
      clearInterval(timer)
      for (const { socket } of lines) socket.destroy()
      times.sort((a, b) => a - b)
      resolve({ offered, outcomes, steps, p99Ms: times[Math.floor(times.length * 0.99)] ?? 0, seconds })
    }, TICK_MS)
  })
}

function typeOf(answer: string): string {
  return /"type":"(\w+)"/.exec(answer)?.[1] ?? answer.slice(9, 12)
}

if (process.send !== undefined && import.meta.main)
  process.on('message', (order: BurstOrder) => {
    runBurst(order).then((report) => process.send?.(report))
  })
