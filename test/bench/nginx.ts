// nginx as the benchmark's upstream, a tenth of the cost of one in Node, and as a rival: a plain reverse proxy. Each is one process.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createConnection, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Server } from './servers.ts'

const PATIENCE_MS = 3000

/** null: it is not installed. `bodies`: what is answered at /{name}, whatever the method, to this machine alone. */
export async function startNginx(
  folder: string,
  bodies: ReadonlyMap<string, Buffer>,
  host = '127.0.0.1',
): Promise<Server | null> {
  mkdirSync(join(folder, 'bodies'), { recursive: true })
  for (const [path, body] of bodies) writeFileSync(join(folder, 'bodies', path), body)
  const files = 'open_file_cache max=100; sendfile on; tcp_nopush on;'
  return start(folder, host, files, 'root bodies; error_page 405 =200 $uri;')
}

/** Every request goes to that origin, over connections that are kept. null: it is not installed. */
export async function startNginxProxy(folder: string, upstream: string): Promise<Server | null> {
  const { host } = new URL(upstream)
  const pass = 'proxy_pass http://upstream; proxy_http_version 1.1; proxy_set_header Connection "";'
  return start(folder, '127.0.0.1', `upstream upstream { server ${host}; keepalive 128; }`, `location / { ${pass} }`)
}

async function start(folder: string, host: string, http: string, server: string): Promise<Server | null> {
  mkdirSync(folder, { recursive: true })
  const port = await freePort()
  writeFileSync(join(folder, 'nginx.conf'), configOf(`${host}:${port}`, http, server))
  // Debian keeps it where only root looks.
  const env = { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` }
  const child = spawn('nginx', ['-p', folder, '-e', 'stderr', '-c', 'nginx.conf'], {
    stdio: ['ignore', 'ignore', 'inherit'],
    env,
  })
  const isThere = await once(child, 'spawn').then(
    () => true,
    () => false,
  )
  if (!isThere) return null
  for (const until = performance.now() + PATIENCE_MS; !(await answers(port)); await pause(20))
    if (performance.now() > until || child.exitCode !== null) throw new Error('nginx does not listen')
  return { pid: child.pid ?? 0, url: `http://127.0.0.1:${port}`, startMs: 0, stop: () => void child.kill() }
}

function configOf(address: string, http: string, server: string): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((of) => `${of}_temp_path temporary;`).join(' ')
  return `daemon off; error_log stderr emerg; master_process off; pid nginx.pid; worker_rlimit_nofile 16384;
events { worker_connections 12000; }
http {
  access_log off; ${temporary}
  default_type application/json; keepalive_timeout 600s; keepalive_requests 1000000000; client_max_body_size 32m;
  client_body_buffer_size 64k; ${http}
  server {
    listen ${address} backlog=4096; allow 127.0.0.0/8; deny all;
    ${server}
  }
}
`
}
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  await once(server, 'close')
  return typeof address === 'object' && address !== null ? address.port : 0
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: '127.0.0.1' })
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}
