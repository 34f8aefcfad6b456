// Health and readiness, and the listener of their own (metrics.listen) on which they and the metrics are served to whoever reaches it:
// new connections to it do not stand in line behind those of callers.
import type { Listener } from './listener.ts'

export interface Readiness {
  readonly ready: boolean
  /** What is away although calls are served, such as `redis`. */
  readonly degraded: readonly string[]
  /** Why it is not ready. */
  readonly because?: string
}

export function probeAnswer(
  path: '/healthz' | '/readyz',
  readiness: () => Readiness,
): { readonly status: 200 | 503; readonly body: string } {
  if (path === '/healthz') return { status: 200, body: '{"ok":true}' }
  const { ready, degraded, because } = readiness()
  return { status: ready ? 200 : 503, body: JSON.stringify({ ready, degraded, ...(because === undefined ? {} : { because }) }) }
}

interface OperationsPorts {
  readonly scrape: (accept?: string) => Promise<{ readonly contentType: string; readonly text: string }>
  readonly readiness: () => Readiness
  readonly makeRequestId: (given: string | string[] | undefined) => string
}

export function serveOperations({ server }: Listener, { scrape, readiness, makeRequestId }: OperationsPorts): void {
  server.on('request', ({ url, method, headers }, res) => {
    res.setHeader('X-Request-Id', makeRequestId(headers['x-request-id']))
    const reads = method === 'GET' || method === 'HEAD'
    if (reads && (url === '/healthz' || url === '/readyz')) {
      const { status, body } = probeAnswer(url, readiness)
      res.writeHead(status, { 'Content-Type': 'application/json', 'Cache-Control': 'no-store' }).end(body)
    } else if (reads && url === '/metrics')
      scrape(headers.accept).then(
        ({ contentType, text }) => res.writeHead(200, { 'Content-Type': contentType }).end(text),
        () => res.writeHead(500).end(),
      )
    else res.writeHead(404, { 'Content-Type': 'text/plain' }).end('Only GET /metrics, /healthz and /readyz are served here.\n')
  })
}
