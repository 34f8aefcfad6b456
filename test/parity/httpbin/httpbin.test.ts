// The same calls through the gateway and with Python's Requests, against a real httpbin (Debian's python3-httpbin).
// Needs python3 with requests 2.34.2; `npm run test:parity` runs it, `.ci/run` installs what it needs.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { startGateway, type TestGateway } from '../../support/gateway.ts'
import { type Httpbin, startHttpbin } from '../../support/httpbin.ts'
import { type Ask, CASES } from './cases.ts'

interface Outcome {
  readonly error?: string
  readonly ok?: boolean
  readonly status?: number | null
  readonly reason?: string | null
  readonly url?: string | null
  readonly headers?: Record<string, string>
  readonly body?: unknown
  readonly history?: { status: number; url: string; method: string }[]
  readonly links?: unknown
  readonly cookies?: Record<string, string>
  readonly method?: string
}

/** Both sides send the same of what differs by nature between two clients. */
const HEADERS = { 'User-Agent': 'parity/1', 'Accept-Encoding': 'gzip, deflate', Accept: '*/*' }

/** Boundaries, nonces and dates are drawn anew by each call. */
function withoutChance(text: string): string {
  return text
    .replace(/\b[0-9a-f]{32}\b/g, 'RANDOM')
    .replace(/opaque="[^"]*"|nonce="[^"]*"/g, 'RANDOM')
    .replace(/[A-Z][a-z]{2}, \d\d [A-Z][a-z]{2} \d{4} [\d:]{8} GMT/g, 'DATE')
}

const withoutChanceIn = (cookies: Record<string, string>): Record<string, string> =>
  Object.fromEntries(Object.entries(cookies).map(([name, value]) => [name, withoutChance(value)]))

function comparableHeaders(headers: Record<string, string | string[]>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers)
      .filter(([name]) => name !== 'date')
      .map(([name, value]) => [name, withoutChance(Array.isArray(value) ? value.join(', ') : value)])
      .sort(),
  )
}

/** JSON is compared as values, line by line where there are several: httpbin's own order of keys is not the point. */
function comparableBody(content: Buffer): unknown {
  const text = withoutChance(content.toString('latin1'))
  for (const parse of [
    JSON.parse,
    (lines: string) =>
      lines
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
  ]) {
    try {
      return withoutEmptyLength(parse(text))
    } catch {}
  }
  return text
}

/** Requests says `Content-Length: 0` with a DELETE without a body; RFC 9110 §8.6 would rather not, and undici does not. */
// biome-ignore lint/suspicious/noExplicitAny: httpbin's answer
function withoutEmptyLength(echo: any): unknown {
  if (echo?.headers?.['Content-Length'] === '0') delete echo.headers['Content-Length']
  return echo
}

/** The length of an echo says only what was just left out of it, or that undici closes after a HEAD. */
function withoutLength({ headers = {}, ...outcome }: Outcome): Outcome {
  const { 'content-length': _length, ...rest } = headers
  return outcome.error ? outcome : { ...outcome, headers: rest }
}

/** As Python's json.dumps writes it: what is sent for `json` is the value's own text as it stands in the descriptor. */
function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(', ')}]`
  if (typeof value === 'object' && value !== null) {
    return `{${Object.entries(value)
      .map(([key, item]) => `${pythonJson(key)}: ${pythonJson(item)}`)
      .join(', ')}}`
  }
  return JSON.stringify(value).replace(/[^\x20-\x7e]/g, (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

// biome-ignore lint/suspicious/noExplicitAny: the JSON of another program
function fromRequests(line: any): Outcome {
  if (line.error) return { error: line.error }
  const { ok, status, reason, url, history, links, cookies, method } = line
  return {
    ok,
    status,
    reason,
    url,
    headers: comparableHeaders(line.headers),
    body: comparableBody(Buffer.from(line.content, 'base64')),
    history,
    links,
    cookies: withoutChanceIn(cookies),
    method,
  }
}

// biome-ignore lint/suspicious/noExplicitAny: an envelope
function fromEnvelope(envelope: any): Outcome {
  if (envelope.error) return { error: envelope.error.type }
  const { ok, status, reason, url, links, cookies } = envelope
  return {
    ok,
    status,
    reason,
    url,
    headers: comparableHeaders(envelope.headers),
    body: comparableBody(Buffer.from(envelope.base64 ?? '', 'base64')),
    // biome-ignore lint/suspicious/noExplicitAny: an envelope
    history: envelope.history.map((hop: any) => ({ status: hop.status, url: hop.url, method: hop.method })),
    links,
    cookies: withoutChanceIn(cookies),
    method: envelope.request.method,
  }
}

/** Requests' `text`, which the envelope must give for every body that it gives as text. */
const textOf = (envelope: { text?: string }): string | undefined => envelope.text

describe('the same calls as Python Requests makes', () => {
  let httpbin: Httpbin
  let gateway: TestGateway
  let origin: string
  // biome-ignore lint/suspicious/noExplicitAny: the JSON of another program
  const expected = new Map<string, any>()

  before(async () => {
    httpbin = await startHttpbin()
    origin = httpbin.origin
    const input = JSON.stringify(CASES.map((one) => ({ ...one, headers: HEADERS })))
    const python = spawnSync('python3', [join(import.meta.dirname, 'with-requests.py'), origin], {
      input,
      encoding: 'utf8',
      maxBuffer: 1e9,
    })
    assert.equal(python.status, 0, python.stderr)
    for (const line of python.stdout.trim().split('\n')) expected.set(JSON.parse(line).name, JSON.parse(line))
    gateway = await startGateway({
      adapters: [
        { name: 'httpbin', mount: `${origin}/`, egress: { allow: ['127.0.0.0/8'] }, retry: { total: 0 }, breaker: 'off' },
      ],
    })
  })

  after(async () => {
    await gateway?.stop()
    httpbin?.stop()
  })

  const descriptor = ({ url, headers, ...ask }: Ask): object => ({
    ...ask,
    url: origin + url,
    headers: { ...HEADERS, ...headers },
  })

  for (const { name, ask } of CASES) {
    test(name, async () => {
      const wanted = expected.get(name)
      const send = (more: object) => gateway.post('/v1/requests', pythonJson({ ...descriptor(ask), ...more }))
      const raw = await send({ decode: 'base64' })
      assert.deepEqual(withoutLength(fromEnvelope(raw.envelope)), withoutLength(fromRequests(wanted)))
      const read = await send({})
      const text = textOf(read.envelope as { text?: string })
      if (text !== undefined) assert.deepEqual(comparableBody(Buffer.from(text)), comparableBody(Buffer.from(wanted.text)))
    })
  }
})
