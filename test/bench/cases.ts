// The cases that are one kind of call each, gateway beside relay, and the rungs of the ladder.

import { join } from 'node:path'
import { startRedis } from '../support/redis.ts'
import { type Bench, compare, type Row, type Subject } from './compare.ts'
import { countCosts } from './credential.ts'
import { documentOf } from './document.ts'
import type { Load } from './load.ts'
import { KEY, type Rung, type Server, startGateway } from './servers.ts'

export interface Case {
  readonly name: string
  readonly connections: number
  /** Of a round. Absent: a second's. */
  readonly requests?: number
  readonly descriptor: (origin: string) => unknown
  /** What the gateway's CPU per request should be of the relay's. */
  readonly aim: number
  readonly rival?: true
  /** Of the gateway; the relay makes its plain call meanwhile. */
  readonly refused?: true
}

/** What the upstream answers. */
export const BODIES = new Map([1000, 65_536, 10_000_000].map((bytes) => [String(bytes), documentOf(bytes)]))
const items = Array.from({ length: 180 }, (_, id) => ({ id, name: `item ${id}`, tags: ['a', 'b'], price: 12.5 }))
const get = (bytes: number, more: object = {}) => ({
  descriptor: (origin: string) => ({ url: `${origin}/${bytes}`, ...more }),
})
const post = (origin: string) => ({ url: `${origin}/1000`, method: 'POST', json: items })

export const PLAIN: Case = { name: 'get-1k', connections: 64, aim: 1.2, rival: true, ...get(1000) }

export const CASES: readonly Case[] = [
  PLAIN,
  { name: 'get-1k-1-connection', connections: 1, aim: 1.2, ...get(1000) },
  { name: 'post-10k', connections: 64, aim: 1.1, rival: true, descriptor: post },
  { name: 'get-64k', connections: 64, aim: 1.1, rival: true, ...get(65_536) },
  { name: 'get-64k-base64', connections: 64, aim: 0.65, ...get(65_536, { decode: 'base64' }) },
  { name: 'get-10m', connections: 4, requests: 12, aim: 0.65, ...get(10_000_000) },
  { name: 'get-10m-base64', connections: 4, requests: 12, aim: 0.35, ...get(10_000_000, { decode: 'base64' }) },
  { name: 'refusal', connections: 64, aim: 0.55, refused: true, descriptor: () => ({ url: 'https://nowhere.example/' }) },
]

/** One thing after the other left out of a gateway with everything on; the last has as little as can be configured. */
const RUNGS: Readonly<Record<string, Rung>> = {
  'everything on': {},
  'no caller key, no grant': { open: true },
  'no credential': { adapter: { credentials: undefined } },
  'no breaker': { adapter: { breaker: 'off' } },
  'no retry': { adapter: { retry: 'off' } },
  'a rate limit more': { adapter: { limits: { rate: '1000000/s' } } },
  'audit not waited for': { root: { audit: { durability: 'best-effort' } } },
  'no log lines': { root: { log: { level: 'fatal' } } },
  'least of all': {
    open: true,
    adapter: { credentials: undefined, breaker: 'off', retry: 'off' },
    root: { audit: { durability: 'best-effort' }, log: { level: 'fatal' } },
  },
}

const HEADERS = { 'content-type': 'application/json', 'x-sallyport-key': KEY }

function loadOf(one: Case, server: Server, upstream: string, isGateway: boolean): Load {
  const { connections, requests, descriptor } = one.refused && !isGateway ? PLAIN : one
  const body = JSON.stringify(descriptor(upstream))
  const refused = one.refused === true && isGateway
  const url = `${server.url}/v1/requests`
  return { url, headers: HEADERS, body, connections, seconds: 1, ...(requests === undefined ? {} : { requests }), refused }
}

export interface Contestants {
  readonly gateway: Server
  /** Those written by hand, by name. */
  readonly rivals: Readonly<Record<string, Server>>
}

export async function measureCase(one: Case, { upstream, relay, rounds }: Bench, { gateway, rivals }: Contestants): Promise<Row> {
  const subject = (server: Server): Subject => ({ server, load: loadOf(one, server, upstream, server === gateway) })
  const others = one.rival ? Object.entries(rivals).map(([name, server]) => [name, subject(server)] as const) : []
  const servers = await compare({ relay: subject(relay), gateway: subject(gateway), ...Object.fromEntries(others) }, rounds)
  const checks = [{ what: 'CPU, of the relay', value: servers.gateway?.ratio ?? 0, aim: one.aim }]
  return { case: one.name, servers, checks, notes: [] }
}

/** Each with its own gateway; the difference to the first is what that layer costs. */
export async function ladder({ upstream, relay, rounds, folder, keep }: Bench): Promise<Row> {
  const subjects: Record<string, Subject> = { relay: { server: relay, load: loadOf(PLAIN, relay, upstream, false) } }
  const gateways: Server[] = []
  for (const [name, rung] of Object.entries(RUNGS)) {
    const server = await keep(startGateway(upstream, join(folder, name.replaceAll(/[ ,]+/g, '-')), rung))
    gateways.push(server)
    subjects[name] = { server, load: loadOf(PLAIN, server, upstream, true) }
  }
  const servers = await compare(subjects, rounds)
  for (const server of gateways) server.stop()
  const whole = servers['everything on']?.cpuMicros ?? 0
  const cost = (name: string): string => `${name} ${(whole - (servers[name]?.cpuMicros ?? 0)).toFixed(1)}`
  const notes = [`saved by each, µs a call: ${Object.keys(RUNGS).slice(1).map(cost).join(', ')}`]
  return { case: 'ladder', servers, checks: [], notes }
}

/** The same call with and without a credential that is stored in Redis. */
export async function storedCredential({ upstream, relay, rounds, folder, keep }: Bench): Promise<Row> {
  const redis = await startRedis()
  try {
    const start = (name: string, rung: Rung) => keep(startGateway(upstream, join(folder, name), { ...rung, redis: redis.url }))
    const without = await start('without', { adapter: { credentials: undefined } })
    const gateway = await start('with', {})
    const load = loadOf(PLAIN, gateway, upstream, true)
    const servers = await compare(
      {
        relay: { server: relay, load: loadOf(PLAIN, relay, upstream, false) },
        'without credential': { server: without, load: loadOf(PLAIN, without, upstream, true) },
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
