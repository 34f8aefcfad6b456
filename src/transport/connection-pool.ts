// The connections of one adapter to one origin. An idle one is given to a request of the same scope only (verify, CA,
// client certificate, proxy login, credential). undici closes the idle ones after a while; this file decides who gets which.
import type { Cancellation } from '../model/cancellation.ts'
import { type Connection, MAX_STREAMS } from './connection.ts'
import type { ConnectionScope } from './ports.ts'

export interface PoolOptions {
  /** Connections at once, those being made included. */
  readonly connections: number
  readonly http2: boolean
}

type Open = () => Promise<Connection>

/** Scopes are told apart by identity: scopes.ts gives the same object for the same scope. */
export interface ConnectionPool {
  /** A connection that can be used at once; null: one must be opened. Release it afterwards. */
  take(scope: ConnectionScope): Connection | null
  /** Opens one; waits while the pool is full. Ends with the cancellation, which must end `open` too. */
  takeNew(scope: ConnectionScope, cancellation: Cancellation, open: Open): Promise<Connection>
  /** After the exchange, whatever became of it. */
  release(connection: Connection): void
  /** Closes the idle ones of that scope: one of their age has proved dead under a request, and they are hardly better. */
  dropIdle(scope: ConnectionScope): void
  sample(): { readonly connections: number; readonly idle: number }
  /** Lets what is under way end, and keeps nothing. */
  close(): Promise<void>
  destroy(): void
}

interface Group {
  readonly scope: ConnectionScope
  /** HTTP/1.1, last used last. */
  readonly idle: Connection[]
  /** HTTP/2, busy or not. */
  readonly shared: Connection[]
  readonly all: Set<Connection>
  dialling: number
  /** The origin is known not to speak HTTP/2: nobody need wait to see what the first connection turns out to be. */
  isHttp1: boolean
}

export function createConnectionPool(options: PoolOptions): ConnectionPool {
  const groups: Group[] = []
  const waiting = new Set<() => void>()
  let isClosing = false
  let whenEmpty: (() => void) | null = null

  const count = (of: (group: Group) => number): number => groups.reduce((sum, group) => sum + of(group), 0)
  const open = (): number => count((group) => group.all.size + group.dialling)
  /** Suspects are on their way out: their successors need not wait for that. */
  const isFull = (): boolean =>
    open() - count(({ shared }) => shared.filter(({ suspect }) => suspect).length) >= options.connections

  /** Whoever waits looks again: waiting is rare, so nobody is singled out. */
  const changed = (): void => {
    if (waiting.size > 0) {
      for (const wake of waiting) wake()
      waiting.clear()
    }
    if (whenEmpty !== null && open() === 0) whenEmpty()
  }

  const groupOf = (scope: ConnectionScope): Group => {
    for (const group of groups) if (group.scope === scope) return group
    const group: Group = { scope, idle: [], shared: [], all: new Set(), dialling: 0, isHttp1: !options.http2 }
    groups.push(group)
    return group
  }

  const adopt = (group: Group, connection: Connection): void => {
    group.all.add(connection)
    if (connection.http2) group.shared.push(connection)
    else group.isHttp1 = true
    connection.socket.once('close', () => {
      group.all.delete(connection)
      dropFrom(group.idle, connection)
      dropFrom(group.shared, connection)
      if (group.all.size === 0 && group.dialling === 0) dropFrom(groups, group)
      changed()
    })
  }

  const take = (scope: ConnectionScope): Connection | null => {
    const group = groupOf(scope)
    for (let connection = group.idle.pop(); connection !== undefined; connection = group.idle.pop()) {
      if (isUsable(connection)) return claimed(connection)
    }
    const shared = group.shared.find((connection) => isUsable(connection) && connection.active < MAX_STREAMS)
    return shared === undefined ? null : claimed(shared)
  }

  const mayDial = (group: Group): boolean => {
    if (group.dialling > 0 && !group.isHttp1) return false
    if (!isFull()) return true
    const spare = groups.find((other) => other !== group && other.idle.length > 0)
    spare?.idle.shift()?.destroy()
    return false
  }

  const dial = async (group: Group, make: Open): Promise<Connection> => {
    group.dialling++
    try {
      const connection = await make()
      adopt(group, connection)
      return claimed(connection)
    } finally {
      group.dialling--
      changed()
    }
  }

  /** HTTP/1.1, nothing under way on it any more. */
  const settle = (connection: Connection): void => {
    if (isClosing || !isUsable(connection) || connection.socket.writableLength > 0) connection.destroy()
    else for (const group of groups) if (group.all.has(connection)) group.idle.push(connection)
    changed()
  }

  return {
    take,
    async takeNew(scope, cancellation, make) {
      for (;;) {
        cancellation.throwIfCancelled()
        const group = groupOf(scope)
        if (mayDial(group)) return dial(group, make)
        await change(waiting, cancellation)
        const freed = take(scope)
        if (freed !== null) return freed
      }
    },
    release(connection) {
      connection.active--
      connection.served++
      if (connection.http2) {
        if ((isClosing || connection.suspect) && connection.active === 0) connection.destroy()
        changed()
        // Over TLS an answer may be here before word that the request has left; one that really has not is an upload cut short.
      } else if (connection.socket.writableLength > 0) setImmediate(settle, connection)
      else settle(connection)
    },
    dropIdle(scope) {
      for (const connection of groupOf(scope).idle.splice(0)) connection.destroy()
    },
    sample: () => ({
      connections: open(),
      idle: count((group) => group.idle.length + group.shared.filter((connection) => connection.active === 0).length),
    }),
    close() {
      isClosing = true
      for (const connection of allOf(groups)) if (connection.active === 0) connection.destroy()
      return new Promise((resolve) => {
        whenEmpty = resolve
        changed()
      })
    },
    destroy() {
      isClosing = true
      for (const connection of allOf(groups)) connection.destroy()
    },
  }
}

function allOf(groups: readonly Group[]): readonly Connection[] {
  return groups.flatMap((group) => [...group.all])
}

function claimed(connection: Connection): Connection {
  connection.active++
  return connection
}

function isUsable({ socket, client, suspect }: Connection): boolean {
  return !suspect && !socket.destroyed && socket.writable && !client.destroyed
}

function dropFrom<T>(list: T[], item: T): void {
  const index = list.indexOf(item)
  if (index >= 0) list.splice(index, 1)
}

/** Until the pool has changed. */
function change(waiting: Set<() => void>, cancellation: Cancellation): Promise<void> {
  return new Promise((resolve, reject) => {
    const stopListening = cancellation.onCancel((reason) => {
      waiting.delete(wake)
      reject(reason)
    })
    const wake = (): void => {
      stopListening()
      resolve()
    }
    waiting.add(wake)
  })
}
