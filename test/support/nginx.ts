// A real nginx of a test's own that asks for client certificates, on free loopback ports, ended by its pid alone. It answers
// each request with what it made of the connection.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Certificate } from './certificates.ts'
import { freePort } from './free-port.ts'

/** In nginx's own words. */
export interface SeenByNginx {
  /** `CN=gateway`; empty: none was shown. */
  readonly subject: string
  /** `SUCCESS`, `NONE` or `FAILED:reason`. */
  readonly verified: string
  /** `r`: the TLS session was resumed; `.`: a whole handshake. */
  readonly session: string
  /** Counted up for each connection. */
  readonly connection: string
}

export interface TestNginx {
  /** Wants a certificate, and keeps connections open. */
  readonly strict: string
  /** Asks for one, and closes after each answer, so that the next has to connect. */
  readonly asking: string
  stop(): Promise<void>
}

const PROGRAM = ['/usr/sbin/nginx', '/usr/local/sbin/nginx', '/usr/bin/nginx'].find((path) => existsSync(path)) ?? 'nginx'
const ANSWER =
  '{"subject":"$ssl_client_s_dn","verified":"$ssl_client_verify","session":"$ssl_session_reused","connection":"$connection"}'

/** `clientCa`: PEM of who signs the certificates that it accepts. `protocol`: default TLSv1.3. */
export async function startNginx(options: {
  readonly server: Certificate
  readonly clientCa: string
  readonly protocol?: 'TLSv1.2' | 'TLSv1.3'
}): Promise<TestNginx> {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-nginx-'))
  const [strict, asking] = [await freePort(), await freePort()]
  writeFileSync(join(folder, 'server.pem'), options.server.cert)
  writeFileSync(join(folder, 'server.key'), options.server.key, { mode: 0o600 })
  writeFileSync(join(folder, 'ca.pem'), options.clientCa)
  writeFileSync(join(folder, 'nginx.conf'), configuration(strict, asking, options.protocol ?? 'TLSv1.3'))
  const child = spawn(PROGRAM, ['-p', `${folder}/`, '-c', 'nginx.conf'], { stdio: 'ignore' })
  const failed = once(child, 'exit').then(([code]) => {
    throw new Error(`nginx ended with ${code}; is it installed?`)
  })
  failed.catch(() => {})
  await Promise.race([Promise.all([listening(strict), listening(asking)]), failed])
  return {
    strict: `https://127.0.0.1:${strict}`,
    asking: `https://127.0.0.1:${asking}`,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        const exited = once(child, 'exit')
        child.kill('SIGKILL')
        await exited
      }
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function configuration(strict: number, asking: number, protocol: string): string {
  const scratch = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path scratch-${name};`)
  const server = (port: number, verify: string, more: string): string => `server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate server.pem; ssl_certificate_key server.key; ssl_client_certificate ca.pem;
    ssl_verify_client ${verify}; ${more}
    location / { default_type application/json; return 200 '${ANSWER}'; }
  }`
  return `daemon off; master_process off; pid nginx.pid; error_log stderr crit;
events { worker_connections 64; }
http {
  access_log off; ${scratch.join(' ')}
  ssl_protocols ${protocol}; ssl_session_cache shared:all:1m; ssl_session_tickets on;
  ${server(strict, 'on', '')}
  ${server(asking, 'optional_no_ca', 'keepalive_requests 1;')}
}
`
}

async function listening(port: number): Promise<void> {
  for (let tries = 0; tries < 400; tries++) {
    const answered = await new Promise<boolean>((resolve) => {
      const socket = connect(port, '127.0.0.1')
      const tell = (answer: boolean) => () => {
        socket.destroy()
        resolve(answer)
      }
      socket.once('connect', tell(true)).once('error', tell(false))
    })
    if (answered) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  throw new Error(`nginx does not listen on ${port}`)
}
