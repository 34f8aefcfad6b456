// The pipe over which a worker's audit records go to its primary, as text. The channel that Node gives both, over which all else goes,
// clones objects: several times as much work a message, and there is one in nearly every turn of the event loop.
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { OwnAudit } from '../audit/audit.ts'
import { away, fromWire, toWire, type WiredError } from './peer.ts'

/** Of one message: the text of each record, a line each. '': none. */
export interface Records {
  readonly ends: string
  readonly intents: string
}

/** The first one's number (null: there is none, or nobody waits for it), or why none of them is written. */
export type Outcome = number | null | Error

export interface RecordPipe {
  /** One at a time: the next may be sent once this one is answered. Never rejects. */
  ask(records: Records): Promise<{ readonly [K in keyof Records]: Outcome }>
}

/** What a primary starts its workers with: their records come at the last one. */
export const WORKER_STDIO = ['inherit', 'inherit', 'inherit', 'ipc', 'pipe'] as const
const PIPE_FD = WORKER_STDIO.indexOf('pipe')

// JSON has no control character in it.
const BETWEEN = '\x1d'
const END = '\x04'

/** The worker's end. Default: of the pipe that its primary gave it. */
export function openRecordPipe(stream: Duplex = new Socket({ fd: PIPE_FD })): RecordPipe {
  let asked: PromiseWithResolvers<readonly [Outcome, Outcome]> | null = null
  let gone = false
  onText(stream, (text) => asked?.resolve((JSON.parse(text) as [Wired, Wired]).map(unwired) as [Outcome, Outcome]))
  stream.on('close', () => {
    gone = true
    asked?.resolve([away(), away()])
  })
  return {
    async ask(records) {
      asked = Promise.withResolvers()
      if (gone) asked.resolve([away(), away()])
      else stream.write(`${records.ends}${BETWEEN}${records.intents}${END}`)
      const [ends, intents] = await asked.promise
      return { ends, intents }
    },
  }
}

/** The primary's end. */
export function takeRecords(stream: Duplex, trail: Pick<OwnAudit, 'formed'>): void {
  const write = async (kind: 'ends' | 'intents', records: string): Promise<Wired> =>
    records === '' ? null : trail.formed(kind, records.split('\n')).catch(toWire)
  onText(stream, async (text) => {
    const between = text.indexOf(BETWEEN)
    const written = [write('ends', text.slice(0, between)), write('intents', text.slice(between + 1))]
    stream.write(JSON.stringify(await Promise.all(written)) + END)
  })
}

/** Of an outcome, as it goes over the pipe. */
type Wired = number | null | WiredError

function unwired(outcome: Wired): Outcome {
  return typeof outcome === 'object' && outcome !== null ? fromWire(outcome) : outcome
}

function onText(stream: Duplex, take: (text: string) => void): void {
  let text = ''
  stream.on('error', () => {}) // its close says all
  stream.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk
    if (!chunk.endsWith(END)) return
    const whole = text.slice(0, -END.length)
    text = ''
    take(whole)
  })
}
