// Everything that a Redis of a test holds, as text: each key and each value, a character a byte. For the canary scan.
import { Redis, type RedisOptions } from 'ioredis'

/** How each type is read whole. DUMP would give some of them compressed. */
const READ: Readonly<Record<string, (key: Buffer) => readonly [string, ...(string | Buffer)[]]>> = {
  string: (key) => ['GET', key],
  hash: (key) => ['HGETALL', key],
  list: (key) => ['LRANGE', key, '0', '-1'],
  set: (key) => ['SMEMBERS', key],
  zset: (key) => ['ZRANGE', key, '0', '-1'],
  stream: (key) => ['XRANGE', key, '-', '+'],
}

/**
 * Of every database; a sentinel has none, and a server that lets nobody in, or is still loading, is passed over. Throws where a key
 * has a type that is not read here.
 */
export async function dumpRedis(access: Omit<RedisOptions, 'replyMapping'>): Promise<string> {
  const bounded = { lazyConnect: true, enableReadyCheck: false, retryStrategy: () => null, connectTimeout: 2000 }
  const client = new Redis({ host: '127.0.0.1', ...bounded, commandTimeout: 5000, ...access, ...anyTls(access) })
  client.on('error', () => {})
  try {
    if (!(await letIn(client))) return ''
    const texts: string[] = []
    for (const [, database = '0'] of String(await client.call('INFO', 'keyspace')).matchAll(/^db(\d+):/gm)) {
      if (database !== '0') await client.call('SELECT', database)
      for (const text of await readAll(client)) texts.push(text)
    }
    return texts.join('\n')
  } finally {
    client.disconnect()
  }
}

async function letIn(client: Redis): Promise<boolean> {
  try {
    await client.connect()
    if (String(await client.call('INFO', 'server')).includes('redis_mode:sentinel')) return false
    // Of a cluster that is down and a replica that lost its primary, too.
    await client.call('CONFIG', 'SET', 'cluster-allow-reads-when-down', 'yes', 'replica-serve-stale-data', 'yes')
    // A replica of a cluster would send us to its primary; any other server does not know it.
    await client.call('READONLY').catch(() => {})
    return true
  } catch {
    return false
  }
}

/** Some servers of the tests show a certificate that nobody takes. */
function anyTls({ tls }: Pick<RedisOptions, 'tls'>): Pick<RedisOptions, 'tls'> {
  return tls ? { tls: { ...tls, rejectUnauthorized: false } } : {}
}

async function readAll(client: Redis): Promise<string[]> {
  const texts: string[] = []
  let cursor = '0'
  do {
    const [next, keys] = (await client.callBuffer('SCAN', cursor, 'COUNT', '1000')) as [Buffer, Buffer[]]
    // No spread: a stream may hold more than there may be arguments.
    for (const key of keys) texts.push(key.toString('latin1'), (await readOne(client, key)).join('\n'))
    cursor = next.toString()
  } while (cursor !== '0')
  return texts
}

async function readOne(client: Redis, key: Buffer): Promise<string[]> {
  const type = String(await client.call('TYPE', key))
  if (type === 'none') return [] // it expired in between
  const command = READ[type]
  if (!command) throw new Error(`a Redis of a test holds a ${type}, which the canary scan cannot read`)
  return flatten(await client.callBuffer(...command(key)))
}

function flatten(reply: unknown): string[] {
  if (Buffer.isBuffer(reply)) return [reply.toString('latin1')]
  if (reply instanceof Map) return [...reply.entries()].flatMap(flatten)
  if (Array.isArray(reply)) return reply.flatMap(flatten)
  if (typeof reply === 'object' && reply !== null) return Object.entries(reply).flatMap(flatten)
  return [String(reply)]
}
