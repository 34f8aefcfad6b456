// What each layer costs: gateways that leave one thing out, or do one more, beside the one with everything on. What cannot be
// left out (limits, metrics, audit itself) shows in `npm run profile`.
import { join } from 'node:path'
import { loadOf, PLAIN } from './cases.ts'
import { type Bench, compare, type Row, type Subject } from './compare.ts'
import { type Rung, startGateway } from './servers.ts'

const ALL_ON = 'everything on'

/** What of a gateway with everything on is left out; the last has as little as can be configured. */
const LESS: Readonly<Record<string, Rung>> = {
  'no caller key, no grant': { open: true },
  'no credential': { adapter: { credentials: undefined } },
  'no breaker': { adapter: { breaker: 'off' } },
  'no retry': { adapter: { retry: 'off' } },
  'audit not waited for': { root: { audit: { durability: 'best-effort' } } },
  'no log lines': { root: { log: { level: 'fatal' } } },
  'least of all': {
    open: true,
    adapter: { credentials: undefined, breaker: 'off', retry: 'off' },
    root: { audit: { durability: 'best-effort' }, log: { level: 'fatal' } },
  },
}

/** What is off unless somebody wants it. */
const MORE: Readonly<Record<string, Rung>> = {
  'a rate and a quota': {
    adapter: { limits: { rate: '1000000/s' } },
    caller: { quota: { rate: '1000000/s', concurrency: 1000 } },
  },
  'audit on the disk first': { root: { audit: { durability: 'strict' } } },
  'bodies in the audit trail': { adapter: { audit: { bodies: true } } },
}

/** Each with its own gateway, all at once, so that they take turns; the difference to the first is what the layer costs. */
export async function ladder({ upstream, relay, rounds, folder, keep }: Bench): Promise<Row> {
  const subjects: Record<string, Subject> = { relay: { server: relay, load: loadOf(PLAIN, relay, upstream) } }
  for (const [name, rung] of Object.entries({ [ALL_ON]: {}, ...LESS, ...MORE })) {
    const server = await keep(startGateway(upstream, join(folder, name.replaceAll(/[ ,]+/g, '-')), rung))
    subjects[name] = { server, load: loadOf(PLAIN, server, upstream) }
  }
  const servers = await compare(subjects, rounds)
  for (const [name, { server }] of Object.entries(subjects)) if (name !== 'relay') server.stop()
  const whole = servers[ALL_ON]?.cpuMicros ?? 0
  const differences = (rungs: object, sign: 1 | -1): string =>
    Object.keys(rungs)
      .map((name) => `${name} ${(sign * ((servers[name]?.cpuMicros ?? 0) - whole)).toFixed(1)}`)
      .join(', ')
  const notes = [`saved by each, µs a call: ${differences(LESS, -1)}`, `cost of each, µs a call: ${differences(MORE, 1)}`]
  return { case: 'ladder', servers, checks: [], notes }
}
