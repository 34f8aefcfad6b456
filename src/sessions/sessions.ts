// Named cookie jars, private to a caller, kept between calls in a key-value store. Two calls of one session that end at the
// same time lose no cookie: a jar is written by compare-and-set, and what a call took is taken again by the newer jar.
import { GatewayError } from '../errors/gateway-error.ts'
import type { Clock, CookieJar, KeyValueStore, Sessions } from '../model/ports.ts'
import type { PreparedUrl } from '../model/prepared-request.ts'
import { createCookieJar, type RecordingJar } from './cookie-jar.ts'
import { JAR_LIMITS, type JarLimits } from './jar-limits.ts'
import type { SessionIndex } from './session-index.ts'
import { EMPTY_JAR, jarKey, parseJar, writeJar } from './stored-jar.ts'

export interface SessionsOptions {
  readonly store: KeyValueStore
  readonly clock: Pick<Clock, 'date'>
  /** A session that nobody used for this long is forgotten. Its expiry is put off when half of it has passed. */
  readonly ttlMs: number
  readonly limits?: JarLimits
  /** Told of each session that begins. */
  readonly index?: Pick<SessionIndex, 'note'>
}

interface Opened {
  readonly jar: RecordingJar
  /** null: the store had no such session. */
  readonly version: number | null
}

interface Loaded extends Opened {
  readonly writtenAt: number
  /** There is something, and it is no jar. */
  readonly lost: boolean
}

/** Other replicas may win this often; this replica's own calls take turns. */
const MOST_TRIES = 10

export function createSessions({ store, clock, ttlMs, limits = JAR_LIMITS, index }: SessionsOptions): Sessions {
  const opened = new WeakMap<CookieJar, Opened>()
  const inTurn = createTurns()
  const makeJar = (): RecordingJar => createCookieJar(clock, limits, [])

  const load = async (key: string): Promise<Loaded> => {
    const found = await store.get(key)
    const stored = found && parseJar(found.value)
    const { writtenAt, cookies } = stored ?? EMPTY_JAR
    const lost = found !== null && stored === null
    return { jar: createCookieJar(clock, limits, cookies), version: found?.version ?? null, writtenAt, lost }
  }

  const write = async (key: string, name: string, { jar, version }: Opened): Promise<void> => {
    let current: Opened = { jar, version }
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      const value = writeJar({ writtenAt: clock.date(), cookies: current.jar.serialize() })
      if (await store.put(key, value, { ttlMs, ifVersion: current.version })) return
      current = await load(key)
      for (const entry of jar.taken) current.jar.take(entry)
    }
    throw new GatewayError('Overloaded', `session "${name}" is changed by too many calls at once; its new cookies were not kept`)
  }

  return {
    async open(caller, name) {
      const { jar, version, writtenAt, lost } = await load(jarKey(caller, name))
      const stale = version !== null && clock.date() - writtenAt > ttlMs / 2
      const port = portOf(jar, stale, lost)
      opened.set(port, { jar, version })
      return port
    },
    async save(caller, name, jar) {
      const mine = opened.get(jar)
      if (mine === undefined || !jar.changed) return
      const key = jarKey(caller, name)
      await inTurn(key, () => write(key, name, mine))
      if (mine.version === null) await index?.note(caller, name)
    },
    transient: () => new TransientJar(makeJar),
  }
}

function portOf(jar: RecordingJar, stale: boolean, lost: boolean): CookieJar {
  // A plain property, no getter: V8 gives every object with getters of its own a shape of its own.
  const port: CookieJar & { changed: boolean } = {
    header: jar.header,
    store(url, setCookies) {
      const stored = jar.store(url, setCookies)
      port.changed ||= jar.taken.length > 0
      return stored
    },
    changed: stale,
    lost,
  }
  return port
}

/** Every call without a session has one, and few answers set a cookie: until one does there is no jar behind it. */
class TransientJar implements CookieJar {
  changed = false
  readonly #make: () => RecordingJar
  #jar: RecordingJar | null = null

  constructor(make: () => RecordingJar) {
    this.#make = make
  }

  header(url: PreparedUrl): string | null {
    return this.#jar?.header(url) ?? null
  }

  store(url: PreparedUrl, setCookies: readonly string[]): ReturnType<CookieJar['store']> {
    this.#jar ??= this.#make()
    const stored = this.#jar.store(url, setCookies)
    this.changed = this.#jar.taken.length > 0
    return stored
  }
}

/** Tasks of one key run one after the other; whether one failed is nothing to the next. */
function createTurns(): (key: string, task: () => Promise<void>) => Promise<void> {
  const tails = new Map<string, Promise<void>>()
  return async (key, task) => {
    const mine = (tails.get(key) ?? Promise.resolve()).then(task, task)
    tails.set(key, mine)
    try {
      await mine
    } finally {
      if (tails.get(key) === mine) tails.delete(key)
    }
  }
}
