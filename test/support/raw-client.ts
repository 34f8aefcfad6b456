// Bytes to the gateway's port as they are, and its answers read by the letter: what does not parse as HTTP, or is no shape that
// was published, fails the test. It never helps: no header is added, nothing is sent again.
import assert from 'node:assert/strict'
import type { IncomingHttpHeaders } from 'node:http'
import { connect } from 'node:net'
import { checkAnswer } from './contract-check.ts'

export interface RawAnswer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests read whatever the answer holds
  readonly body: any
}

export interface RawExchange {
  /** Final answers, in order; interim ones are passed over. */
  readonly answers: readonly RawAnswer[]
  /** ms from the last byte (or from the end of sending, where only that made it an answerable whole) to the first answer. */
  readonly waitedMs: number
}

export interface RawOptions {
  /** No answer came for this long after the last byte: the sender ends its side. Default 30 ms. */
  readonly quietMs?: number
  /** After an answer: how long another is waited for, before the sender ends its side, which counts as a hang-up. Default 100 ms. */
  readonly settleMs?: number
  /** Pause between pieces, ms. Default: none, but each is a write of its own. */
  readonly everyMs?: number
  /** Answers without a body whatever their headers say. */
  readonly toHead?: boolean
  /** Fails after this long without an end. Default 2000: ten times what is promised. */
  readonly withinMs?: number
}

/** Sends `pieces` and reads until the connection is closed. Rejects where that takes too long or an answer is malformed. */
export function sendRaw(port: number, pieces: readonly (Buffer | string)[], options: RawOptions = {}): Promise<RawExchange> {
  const { quietMs = 30, settleMs = 100, everyMs, toHead = false, withinMs = 2000 } = options
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    const chunks: Buffer[] = []
    let askedAt = performance.now()
    let waitedMs = 0
    let quiet: NodeJS.Timeout | undefined
    let deadline: NodeJS.Timeout | undefined
    const endSoon = (): void => {
      clearTimeout(quiet)
      quiet = setTimeout(
        () => {
          if (chunks.length === 0) askedAt = performance.now()
          socket.end()
        },
        chunks.length === 0 ? quietMs : settleMs,
      )
    }
    const send = async (): Promise<void> => {
      for (const piece of pieces) {
        if (!socket.writable) break
        socket.write(piece)
        if (everyMs !== undefined) await new Promise((next) => setTimeout(next, everyMs))
      }
      askedAt = performance.now()
      endSoon()
      deadline = setTimeout(() => {
        socket.destroy()
        reject(new Error(`no end after ${withinMs} ms; ${Buffer.concat(chunks).length} bytes came`))
      }, withinMs)
    }
    socket.on('connect', () => void send())
    socket.on('data', (chunk: Buffer) => {
      if (chunks.length === 0) waitedMs = performance.now() - askedAt
      chunks.push(chunk)
      endSoon()
    })
    socket.on('error', () => {}) // a reset: what came before it counts
    socket.on('close', () => {
      clearTimeout(quiet)
      clearTimeout(deadline)
      try {
        resolve({ answers: parseAnswers(Buffer.concat(chunks), toHead), waitedMs })
      } catch (error) {
        reject(error)
      }
    })
  })
}

function parseAnswers(bytes: Buffer, toHead: boolean): RawAnswer[] {
  const answers: RawAnswer[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = bytes.indexOf('\r\n\r\n', at)
    assert.ok(end >= 0, `an answer's head is cut off: ${shown(bytes.subarray(at))}`)
    const { status, headers } = parseHead(bytes.toString('latin1', at, end))
    at = end + 4
    if (status === 100) continue
    const { body, next } = toHead ? { body: bytes.subarray(at, at), next: at } : readBody(bytes, at, headers)
    at = next
    answers.push(judged(status, headers, body.toString('utf8'), toHead))
  }
  return answers
}

const shown = (bytes: Buffer): string => JSON.stringify(bytes.toString('latin1', 0, 300))

function parseHead(text: string): { status: number; headers: IncomingHttpHeaders } {
  const [statusLine = '', ...lines] = text.split('\r\n')
  const status = /^HTTP\/1\.1 (\d{3}) [ -~]*$/.exec(statusLine)?.[1]
  assert.ok(status, `status line ${JSON.stringify(statusLine)}`)
  const headers: Record<string, string> = {}
  for (const line of lines) {
    const parts = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+): ([\t\x20-\x7e]*)$/.exec(line)
    assert.ok(parts, `header line ${JSON.stringify(line)}`)
    const name = (parts[1] as string).toLowerCase()
    assert.ok(!Object.hasOwn(headers, name), `${name} came twice`)
    headers[name] = parts[2] as string
  }
  return { status: Number(status), headers }
}

function readBody(bytes: Buffer, start: number, headers: IncomingHttpHeaders): { body: Buffer; next: number } {
  if (headers['transfer-encoding'] !== 'chunked') {
    const length = Number(headers['content-length'] ?? Number.NaN)
    assert.ok(start + length <= bytes.length, `a body of ${length} bytes is cut off: ${shown(bytes.subarray(start))}`)
    return { body: bytes.subarray(start, start + length), next: start + length }
  }
  const pieces: Buffer[] = []
  for (let at = start; ; ) {
    const line = bytes.indexOf('\r\n', at)
    const size = Number.parseInt(bytes.toString('latin1', at, line), 16)
    assert.ok(line >= 0 && size >= 0 && line + size + 4 <= bytes.length, `chunks are cut off: ${shown(bytes.subarray(at))}`)
    pieces.push(bytes.subarray(line + 2, line + 2 + size))
    at = line + size + 4
    if (size === 0) return { body: Buffer.concat(pieces), next: at }
  }
}

/** Every refusal, and every answer of a JSON entrance, has a published shape and tells nothing of our insides. */
function judged(status: number, headers: IncomingHttpHeaders, text: string, toHead: boolean): RawAnswer {
  if (toHead || !isJson(headers)) {
    assert.ok(status < 400 || toHead, `${status} without JSON: ${text.slice(0, 200)}`)
    return { status, headers, text, body: undefined }
  }
  const lines = headers['content-type'] === 'application/x-ndjson'
  const body: unknown = lines ? undefined : JSON.parse(text)
  assert.doesNotMatch(text, /\\n\s+at |node:internal|\/src\/|\.ts:\d/, 'a stack came out')
  const path = lines ? '/v1/batch' : pathOf(body as object)
  if (path !== null) checkAnswer({ path, method: 'POST', status, headers, text }, body)
  return { status, headers, text, body }
}

function isJson(headers: IncomingHttpHeaders): boolean {
  return /^application\/(?:json|x-ndjson)$/.test(headers['content-type'] ?? '')
}

/** Which entrance answers so; null: a page. */
function pathOf(body: object): string | null {
  if ('attempts' in body) return '/v1/requests'
  if ('plan' in body) return '/v1/prepare'
  return 'responses' in body ? '/v1/batch' : null
}
