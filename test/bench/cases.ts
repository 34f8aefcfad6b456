// The cases that are one kind of call each: gateway beside relay and rivals.

import { join } from 'node:path'
import { startRedis } from '../support/redis.ts'
import { type Bench, type Check, compare, hundredths, type Row, type Subject } from './compare.ts'
import { countCosts } from './credential.ts'
import { documentOf } from './document.ts'
import type { Load } from './load.ts'
import { startNginxProxy } from './nginx.ts'
import { KEY, type Rung, type Server, startGateway, startScript } from './servers.ts'

/** What the gateway's figure should be of another server's. */
interface Aim {
  readonly of: string
  readonly figure: 'cpuMicros' | 'p50Micros'
  readonly aim: number
}

export interface Case {
  readonly name: string
  readonly connections: number
  /** Of a round. Absent: a second's. */
  readonly requests?: number
  readonly descriptor: (origin: string) => unknown
  readonly aims: readonly Aim[]
  /** What a reverse proxy is asked for, where one can make this call. */
  readonly path?: string
  /** Services and reverse proxies are measured too. */
  readonly rivals?: true
  /** Of the gateway; the relay makes its plain call meanwhile. */
  readonly refused?: true
}

/** What the upstream answers. */
export const BODIES = new Map([1000, 65_536, 10_000_000].map((bytes) => [String(bytes), documentOf(bytes)]))
const items = Array.from({ length: 180 }, (_, id) => ({ id, name: `item ${id}`, tags: ['a', 'b'], price: 12.5 }))
const get = (bytes: number, more: object = {}) => ({
  descriptor: (origin: string) => ({ url: `${origin}/${bytes}`, ...more }),
  path: `/${bytes}`,
})
const post = (origin: string) => ({ url: `${origin}/1000`, method: 'POST', json: items })
const cpu = (aim: number, of = 'relay'): Aim => ({ of, figure: 'cpuMicros', aim })
const p50 = (aim: number): Aim => ({ of: 'relay', figure: 'p50Micros', aim })
const base64 = { decode: 'base64' }
const nowhere = () => ({ url: 'https://nowhere.example/' })
const REPLY_FROM = '@fastify/reply-from'

export const PLAIN: Case = { name: 'get-1k', connections: 64, aims: [cpu(1.2), cpu(1, REPLY_FROM)], rivals: true, ...get(1000) }

export const CASES: readonly Case[] = [
  PLAIN,
  { name: 'get-1k-1-connection', connections: 1, aims: [p50(1.1)], ...get(1000) },
  { name: 'post-10k', connections: 64, aims: [cpu(1.1)], rivals: true, descriptor: post },
  { name: 'get-64k', connections: 64, aims: [cpu(1.1)], rivals: true, ...get(65_536) },
  { name: 'get-64k-base64', connections: 64, aims: [cpu(0.65)], ...get(65_536, base64) },
  { name: 'get-10m', connections: 4, requests: 32, aims: [cpu(0.65)], ...get(10_000_000) },
  { name: 'get-10m-base64', connections: 4, requests: 32, aims: [cpu(0.35)], ...get(10_000_000, base64) },
  { name: 'get-10m-text', connections: 4, requests: 32, aims: [cpu(1.1)], ...get(10_000_000, { decode: 'text' }) },
  { name: 'refusal', connections: 64, aims: [cpu(0.55)], refused: true, descriptor: nowhere },
]

const HEADERS = { 'content-type': 'application/json', 'x-sallyport-key': KEY }

export function loadOf(one: Case, server: Server, upstream: string): Load {
  const { connections, requests, descriptor } = one
  const body = JSON.stringify(descriptor(upstream))
  const length = requests === undefined ? {} : { requests }
  return {
    url: `${server.url}/v1/requests`,
    headers: HEADERS,
    body,
    connections,
    seconds: 1,
    ...length,
    refused: one.refused === true,
  }
}

export interface Contestants {
  readonly gateway: Server
  /** Those that take a descriptor as the gateway does. */
  readonly services: Readonly<Record<string, Server>>
  /** Those that pass on what they are asked. */
  readonly proxies: Readonly<Record<string, Server>>
  stop(): void
}

/** nginx is left out where it is not installed. */
export async function startContestants({ upstream, folder, keep }: Bench, { rivals }: { rivals: boolean }): Promise<Contestants> {
  const gateway = await keep(startGateway(upstream, join(folder, 'gateway')))
  const services: Record<string, Server> = {}
  const proxies: Record<string, Server> = {}
  if (rivals) {
    services['fastify, undici, opossum'] = await keep(startScript('rivals/fastify-undici-opossum.ts'))
    services['express, axios, opossum'] = await keep(startScript('rivals/express-axios-opossum.ts'))
    proxies[REPLY_FROM] = await keep(startScript('rivals/reply-from.ts', [upstream]))
    const nginx = await startNginxProxy(join(folder, 'proxy'), upstream)
    if (nginx) proxies.nginx = await keep(Promise.resolve(nginx))
  }
  const stop = (): void => {
    for (const server of [gateway, ...Object.values(services), ...Object.values(proxies)]) server.stop()
  }
  return { gateway, services, proxies, stop }
}

export async function measureCase(one: Case, { upstream, relay, rounds }: Bench, contestants: Contestants): Promise<Row> {
  const { gateway, services, proxies } = contestants
  // What the gateway refuses the relay calls.
  const subjects: Record<string, Subject> = {
    relay: { server: relay, load: loadOf(one.refused ? PLAIN : one, relay, upstream) },
    gateway: { server: gateway, load: loadOf(one, gateway, upstream) },
  }
  const notes: string[] = []
  if (one.rivals) {
    for (const [name, server] of Object.entries(services)) subjects[name] = { server, load: loadOf(one, server, upstream) }
    const passedOn = one.path === undefined ? [] : Object.entries(proxies)
    for (const [name, server] of passedOn) {
      const load = { ...loadOf(one, server, upstream), url: `${server.url}${one.path}`, headers: {}, body: null }
      subjects[name] = { server, load }
    }
    if (passedOn.length > 0) notes.push(`${passedOn.map(([name]) => name).join(' and ')}: a plain GET, which is passed on`)
  }
  const servers = await compare(subjects, rounds)
  return { case: one.name, servers, checks: checksOf(one, servers), notes }
}

const WORDS = { cpuMicros: 'CPU', p50Micros: 'p50' }

/** Of those that were measured: not every run has every rival. */
function checksOf({ aims }: Case, servers: Row['servers']): Check[] {
  return aims.flatMap(({ of, figure, aim }) => {
    const [ours, theirs] = [servers.gateway?.[figure], servers[of]?.[figure]]
    return ours && theirs
      ? [{ what: `${WORDS[figure]}, of ${of === 'relay' ? 'the relay' : of}`, value: hundredths(ours / theirs), aim }]
      : []
  })
}

/** The same call with and without a credential that is stored in Redis. */
export async function storedCredential({ upstream, relay, rounds, folder, keep }: Bench): Promise<Row> {
  const redis = await startRedis()
  try {
    const start = (name: string, rung: Rung) =>
      keep(startGateway(upstream, join(folder, name), { ...rung, redis: redis.url, probe: true }))
    const without = await start('without', { adapter: { credentials: undefined } })
    const gateway = await start('with', {})
    const load = loadOf(PLAIN, gateway, upstream)
    const servers = await compare(
      {
        relay: { server: relay, load: loadOf(PLAIN, relay, upstream) },
        'without credential': { server: without, load: loadOf(PLAIN, without, upstream) },
        'credential in Redis': { server: gateway, load },
      },
      rounds,
    )
    const [plain = 1, credentialed = 0] = ['without credential', 'credential in Redis'].map(
      (name) => servers[name]?.cpuMicros ?? 0,
    )
    without.stop()
    const notes = await countCosts(gateway, redis, load)
    gateway.stop()
    const value = Math.round((credentialed / plain) * 100) / 100
    return { case: 'credential', servers, checks: [{ what: 'CPU, with of without', value, aim: 1.1 }], notes }
  } finally {
    await redis.stop()
  }
}
