// The sample upstream of `npm start`: a process of its own on loopback, so that the first calls work without internet.
// It knows nothing of the gateway and is not part of it.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { gzipSync } from 'node:zlib'

const token = process.env.SAMPLE_TOKEN ?? ''
const port = Number(process.env.SALLYPORT_SAMPLE_PORT ?? 8081)
const MAX_DELAY_MS = 60_000
const MAX_FLAKY_KEYS = 1000
const failures = new Map<string, number>()

function answer(response: ServerResponse, status: number, value: unknown, headers: Record<string, string> = {}): void {
  const body = Buffer.from(`${JSON.stringify(value)}\n`)
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length, ...headers }).end(body)
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

async function echo(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { authorization, ...headers } = request.headers
  const body = (await readBody(request)).toString()
  answer(response, 200, { method: request.method, target: request.url, headers, authorized: authorization !== undefined, body })
}

/** Fails `times` times for each key, then is well: what a retry is for. */
function flaky(key: string, times: number, response: ServerResponse): void {
  const failed = failures.get(key) ?? 0
  if (failed < times) {
    if (failures.size >= MAX_FLAKY_KEYS) failures.clear()
    failures.set(key, failed + 1)
    answer(response, 503, { error: `not yet (${failed + 1} of ${times})` })
    return
  }
  failures.delete(key)
  answer(response, 200, { well: true, after: `${failed} failures` })
}

/** Says only whether the token was right; never repeats it. */
function checkToken(request: IncomingMessage, response: ServerResponse): void {
  const right = token !== '' && request.headers.authorization === `Bearer ${token}`
  answer(response, right ? 200 : 401, { tokenWasRight: right })
}

function redirect(left: number, response: ServerResponse): void {
  if (left > 0) response.writeHead(302, { location: `/redirect/${left - 1}`, 'content-length': 0 }).end()
  else answer(response, 200, { arrived: true })
}

function gzip(response: ServerResponse): void {
  const body = gzipSync(JSON.stringify({ compressed: true, text: 'sally port '.repeat(100) }))
  response
    .writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip', 'content-length': body.length })
    .end(body)
}

const PATHS = ['/echo', '/status/{code}', '/delay/{ms}', '/flaky/{key}?times=1', '/token', '/redirect/{n}', '/gzip']

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', 'http://sample')
  const [, kind, argument = ''] = url.pathname.split('/')
  switch (kind) {
    case 'echo':
      return echo(request, response)
    case 'status':
      return answer(response, /^[2-5]\d\d$/.test(argument) ? Number(argument) : 400, { status: argument })
    case 'delay':
      await sleep(Math.min(Number(argument) || 0, MAX_DELAY_MS))
      return answer(response, 200, { delayedMs: Number(argument) || 0 })
    case 'flaky':
      return flaky(argument, Number(url.searchParams.get('times') ?? 1), response)
    case 'token':
      return checkToken(request, response)
    case 'redirect':
      return redirect(Math.min(Number(argument) || 0, 50), response)
    case 'gzip':
      return gzip(response)
    default:
      return answer(response, 404, { error: 'no such path', paths: PATHS })
  }
}

const server = createServer((request, response) => {
  handle(request, response).catch(() => response.destroy())
})
server.keepAliveTimeout = 65_000
server.on('error', (error: NodeJS.ErrnoException) => {
  process.send?.({ failed: error.code ?? 'unknown' })
  process.disconnect?.()
})
server.listen(port, '127.0.0.1', () => process.send?.({ listening: (server.address() as AddressInfo).port }))
// It must not outlive the gateway, however that ends.
process.on('disconnect', () => process.exit(0))
process.on('SIGINT', () => {})
