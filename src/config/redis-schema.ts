// The keys of `store.redis`: one server by its URL, or a section for Sentinel, Cluster and TLS files. What they mean together
// is judged in redis-store.ts.
import { z } from 'zod'
import {
  parseRedisAddress,
  parseRedisUrl,
  REDIS_PORT,
  type RedisAddress,
  type RedisNatMap,
  SENTINEL_PORT,
} from '../model/redis-target.ts'
import type { Reading } from '../model/units.ts'
import { field, integer, OFF, optionalText, section } from './fields.ts'

const file = (what: string) => optionalText(`the path of ${what}`).optional()

const TLS = section({
  ca: file('a PEM file').describe('PEM file of the certificate authorities to trust. Absent: the built-in roots.'),
  cert: file('a PEM file').describe('PEM file of the client certificate, for a server that wants one.'),
  key: file('a PEM file').describe('PEM file of its private key.'),
  serverName: optionalText('a host name', (written) => /^[0-9A-Za-z._-]{1,253}$/.test(written))
    .optional()
    .describe('Name that the certificate must be for. Absent: the address that is connected to.'),
})

const ADDRESS = 'host:port, such as redis-1.internal:'

function addresses(standardPort: number) {
  const form = `must be a list of ${ADDRESS}${standardPort}`
  return field<readonly RedisAddress[]>(
    (written): Reading<readonly RedisAddress[]> => {
      const items = typeof written === 'string' ? written.split(',') : written
      if (!Array.isArray(items) || items.length === 0) return { ok: false, fault: form }
      const found = items.map((item) => (typeof item === 'string' ? parseRedisAddress(item, standardPort) : null))
      const bad = found.indexOf(null)
      if (bad >= 0) return { ok: false, fault: `${form}; number ${bad + 1} is none` }
      return { ok: true, value: found.filter((address) => address !== null) }
    },
    {
      title: 'list: host:port',
      anyOf: [{ type: 'array', items: { type: 'string' }, minItems: 1 }, { type: 'string' }],
    },
  )
}

const NAT_MAP = field<RedisNatMap>(
  (written): Reading<RedisNatMap> => {
    const fault = { ok: false as const, fault: `must map each ${ADDRESS}${REDIS_PORT} that Redis tells to one that is reached` }
    if (typeof written !== 'object' || written === null || Array.isArray(written)) return fault
    const map = new Map<string, RedisAddress>()
    for (const [told, reached] of Object.entries(written)) {
      const address = typeof reached === 'string' ? parseRedisAddress(reached, REDIS_PORT) : null
      if (!/:\d+$/.test(told) || address === null) return fault
      map.set(told, address)
    }
    return { ok: true, value: Object.fromEntries(map) }
  },
  { type: 'object', additionalProperties: { type: 'string' }, title: 'mapping of host:port to host:port' },
)

/** The URL itself is never repeated. Empty text is no URL: `"${REDIS_URL:-}"` is how a key is left to the environment. */
const URL_FIELD = field<string | null>(
  (written): Reading<string | null> => {
    if (written === '') return { ok: true, value: null }
    const target = parseRedisUrl(typeof written === 'string' ? written : '')
    return target.ok ? { ok: true, value: written as string } : target
  },
  { type: 'string', title: 'text' },
)

const secret = (whose: string) => optionalText(`the password ${whose}`).optional()
const user = () => optionalText('a user name').optional()

const SECTION = section({
  url: URL_FIELD.optional().describe('One server, redis://host:port/database, or rediss:// for TLS.'),
  sentinels: addresses(SENTINEL_PORT).optional().describe('Sentinels instead, host:port each; they name the primary.'),
  master: optionalText('the name that the sentinels know the primary by')
    .optional()
    .describe('The name by which the sentinels know the primary.'),
  cluster: addresses(REDIS_PORT)
    .optional()
    .describe('Nodes of a cluster instead, host:port each; the others are learnt. Wants `store.prefix` with a hash tag.'),
  username: user().describe('ACL user. Absent: the default user.'),
  password: secret('of that user').describe(`Its password, written "\${REDIS_PASSWORD}" so that it stays in the environment.`),
  db: integer(0, 99_999).optional().describe('Number of the database; a cluster has only 0. Absent: 0, or that of the URL.'),
  tls: TLS.optional().describe('TLS to the servers; a URL says rediss:// beside it. Absent: none, unless the URL says so.'),
  sentinelUsername: user().describe('ACL user of the sentinels themselves. Absent: their default user.'),
  sentinelPassword: secret('of the sentinels').describe('Password of the sentinels themselves. Absent: they want none.'),
  sentinelTls: z.union([OFF, TLS]).optional().describe('TLS to the sentinels. Absent: as `tls`.'),
  natMap: NAT_MAP.optional().describe(
    'Where this gateway reaches the addresses that sentinels or cluster nodes tell, where that is elsewhere.',
  ),
})

export const REDIS = z.union([URL_FIELD, SECTION])

export type RedisWritten = z.output<typeof REDIS> | undefined
export type RedisSectionWritten = z.output<typeof SECTION>
export type RedisTlsWritten = z.output<typeof TLS>
