// JSON lines, one object each, made of allow-listed fields alone: what is not on the list does not reach a log, whoever passes
// it. One line a call (shed-lines.ts: unless shed), written past pino's serialisers because it is on the
// hot path; everything else goes through pino.
import { pino } from 'pino'
import { inOnePiece } from '../model/one-piece.ts'
import type { CallLine, CallLog, Logger, LogLevel } from '../model/ports.ts'
import { isPlain } from '../model/quote.ts'
import { createLineLimit } from './line-limit.ts'
import type { Pretty } from './pretty.ts'
import { createShedLines } from './shed-lines.ts'

export interface LoggerOptions {
  /** Lines below it are dropped. 'silent': none at all. */
  readonly level: LogLevel | 'silent'
  /** For a person at a terminal; null: one JSON object a line. */
  readonly pretty: Pretty | null
  /** Other processes write to the same standard output: each write is whole lines that a pipe takes in one piece. Default false. */
  readonly shared?: boolean
  /** Default: standard output, written off the event loop; lines past 4 MiB of backlog are dropped rather than waited for. */
  readonly destination?: { write(line: string): unknown }
}

export interface ProcessLogger extends Logger, CallLog {
  setLevel(level: LogLevel | 'silent'): void
  /** Hands over what is buffered; for the end of the process. */
  flush(): void
}

type FieldValue = string | number | boolean | null | undefined

/** Everything that a line may hold beside level, time and event. Values of secrets, headers and bodies have no field. */
const FIELDS: ReadonlySet<string> = new Set([
  ...['requestId', 'caller', 'entrance', 'adapter', 'origin', 'method', 'url', 'status', 'error', 'source', 'sent', 'attempts'],
  ...['durationMs', 'queuedMs', 'breaker', 'credential', 'bytesOut', 'bytesIn', 'suppressed'],
  ...['because', 'from', 'to', 'store', 'name', 'version', 'count', 'afterMs', 'until', 'code', 'syscall', 'where'],
  ...['act', 'subject', 'chain', 'seq', 'mac'],
  ...['file', 'line', 'key', 'address', 'port', 'mount', 'signal', 'node', 'pid'],
])
const MAX_VALUE = 1024
/** Lines are held until they are so many or 100 ms old: each write is a trip to another thread. */
const FLUSH_BYTES = 32 * 1024
/** Writes of up to so many bytes to one pipe do not mix (POSIX PIPE_BUF, Linux). */
const PIPE_BYTES = 4096
// C0, DEL, C1 and the Unicode line ends: what could end a line or drive a terminal.
const CONTROL = /[\p{Cc}\u2028\u2029]/u
const CONTROLS = /[\p{Cc}\u2028\u2029]/gu

/** Safe to print: cut at 1,024 characters, control characters shown as \xNN or \uNNNN. */
function printable(value: string): string {
  const cut = value.length > MAX_VALUE ? `${value.slice(0, MAX_VALUE)}…` : value
  if (isPlain(cut) || !CONTROL.test(cut)) return cut
  return cut.replace(CONTROLS, (character) => {
    const code = character.charCodeAt(0).toString(16)
    return code.length > 2 ? `\\u${code.padStart(4, '0')}` : `\\x${code.padStart(2, '0')}`
  })
}

/** Scheme, host and path: the query may hold keys, userinfo may hold a password. */
function withoutQuery(url: string): string {
  const path = url.includes('?') || url.includes('#') ? url.slice(0, url.search(/[?#]/)) : url
  const authority = path.indexOf('://') + 3
  if (authority < 3) return path
  const slash = path.indexOf('/', authority)
  const at = path.lastIndexOf('@', slash < 0 ? path.length : slash)
  return at < authority ? path : path.slice(0, authority) + path.slice(at + 1)
}

function allowed(fields: Readonly<Record<string, FieldValue>>): Record<string, FieldValue> {
  const kept: Record<string, FieldValue> = {}
  for (const [name, value] of Object.entries(fields)) {
    if (!FIELDS.has(name)) continue
    if (typeof value === 'string') kept[name] = printable(name === 'url' ? withoutQuery(value) : value)
    else if (value === null || typeof value === 'number' || typeof value === 'boolean') kept[name] = value
  }
  return kept
}

function openDestination(options: LoggerOptions): { write(line: string): void; flush(): void } {
  const given = options.destination
  const format = options.pretty
  if (format) {
    const target = given ?? process.stdout
    return { write: (line) => void target.write(format(line)), flush: () => {} }
  }
  if (given) return { write: (line) => void given.write(line), flush: () => {} }
  // As bytes: what waits as one long string would be copied whole for every line that comes to it.
  const stdout = pino.destination({
    ...{ dest: 1, sync: false, contentMode: 'buffer' },
    ...(options.shared
      ? { minLength: PIPE_BYTES / 2, maxWrite: PIPE_BYTES }
      : { minLength: FLUSH_BYTES, maxWrite: 2 * FLUSH_BYTES }),
    ...{ maxLength: 4 * 1024 * 1024, periodicFlush: 100 },
  })
  stdout.on('error', () => {}) // a log that cannot be written has nowhere to say so, and must not end the process
  // Its type knows of strings alone.
  const write = (line: string): void => void stdout.write(Buffer.from(line) as Buffer & string)
  return { write, flush: () => stdout.flushSync() }
}

export function createLogger(options: LoggerOptions): ProcessLogger {
  const destination = openDestination(options)
  const logger = pino(
    {
      level: options.level,
      base: null,
      messageKey: 'event',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    { write: destination.write },
  )
  const limit = createLineLimit()
  const timestamp = createTimestamp()
  const shed = createShedLines((calls) => logger.info(allowed({ error: 'Overloaded', ...calls }), 'calls shed'))
  return {
    log(level, event, fields = {}) {
      if (!logger.isLevelEnabled(level)) return
      const verdict = level === 'fatal' ? { suppressed: 0 } : limit.admit(event, performance.now())
      if (verdict === null) return
      logger[level](allowed(verdict.suppressed > 0 ? { ...fields, suppressed: verdict.suppressed } : fields), printable(event))
    },
    callLine(call) {
      const level = call.error === 'InternalError' ? 'error' : 'info'
      if (logger.isLevelEnabled(level) && shed.admit(call)) destination.write(formatCallLine(call, level, timestamp()))
    },
    setLevel(level) {
      logger.level = level
    },
    flush() {
      shed.flush()
      destination.flush()
    },
  }
}

/** What is undefined has no place in the line. Without a spread: an object made with one takes several times as long to make. */
function formatCallLine(call: CallLine, level: string, time: string): string {
  const line = {
    level,
    time,
    requestId: call.requestId,
    traceId: call.traceId,
    caller: call.caller === null ? null : printable(call.caller),
    entrance: call.entrance,
    adapter: call.adapter,
    method: call.method === null ? null : printable(call.method),
    url: call.url === null ? null : printable(withoutQuery(call.url)),
    status: call.status,
    error: call.error,
    source: call.source,
    fault: call.fault,
    rule: call.rule,
    sent: call.sent,
    attempts: call.attempts,
    durationMs: Math.round(call.durationMs * 1000) / 1000,
    queuedMs: Math.round(call.queuedMs * 1000) / 1000,
    breaker: call.breaker,
    credential: call.credential,
    bytesOut: call.bytesOut,
    bytesIn: call.bytesIn,
    observed: call.observed ? call.observed.join(' ') : undefined,
    event: 'call',
  }
  return `${JSON.stringify(line)}\n`
}

/** RFC 3339 with milliseconds; made once for all lines of a millisecond, and all but these once a second. */
function createTimestamp(): () => string {
  let second = Number.NaN
  let untilSecond = ''
  let last = Number.NaN
  let known = ''
  return () => {
    const now = Date.now()
    if (now === last) return known
    last = now
    const millisecond = now % 1000
    if (now - millisecond !== second) {
      second = now - millisecond
      untilSecond = new Date(second).toISOString().slice(0, -4)
    }
    known = inOnePiece(untilSecond, String(millisecond).padStart(3, '0'), 'Z')
    return known
  }
}
