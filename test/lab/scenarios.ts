// What goes wrong in the laboratory, each as a deed and its undoing.
import type { TestRedis } from '../support/redis.ts'
import type { SentinelSet } from '../support/redis-topologies.ts'
import type { CountingUpstream } from './counting-upstream.ts'
import type { FaultProxy } from './fault-proxy.ts'

export interface World {
  /** Between the gateway and the upstream. */
  readonly wire: FaultProxy
  /** Between the gateway and Redis. */
  readonly storeWire: FaultProxy
  readonly upstream: CountingUpstream
  readonly redis: TestRedis
}

/** A world whose Redis has two replicas and three sentinels. */
export interface SentinelWorld {
  readonly sentinels: SentinelSet
}

export interface Scenario<W = World> {
  readonly name: string
  begin(world: W): void | Promise<void>
  end(world: W): void | Promise<void>
  /** The fault itself may lose what Redis had acknowledged: replication to its replicas is asynchronous. */
  readonly storeForgets?: true
}

const wire = (name: string, begin: (proxy: FaultProxy) => void): Scenario => ({
  name: `upstream: ${name}`,
  begin: ({ wire }) => begin(wire),
  end: ({ wire }) => wire.heal(),
})

const store = (name: string, begin: (proxy: FaultProxy) => void): Scenario => ({
  name: `redis: ${name}`,
  begin: ({ storeWire }) => begin(storeWire),
  end: ({ storeWire }) => storeWire.heal(),
})

export const SCENARIOS: readonly Scenario[] = [
  { name: 'nothing', begin() {}, end() {} },
  wire('300 ms late, ±100', (proxy) => proxy.set({ latencyMs: 200, jitterMs: 200 })),
  wire('2 KB/s down', (proxy) => proxy.set({ bytesPerSecond: 2000 }, 'down')),
  wire('7 bytes at a time', (proxy) => proxy.set({ sliceBytes: 7 })),
  wire('reset within the answer', (proxy) => proxy.set({ cutAfterBytes: 2000, cutBy: 'reset' }, 'down')),
  wire('ends within the answer', (proxy) => proxy.set({ cutAfterBytes: 2000, cutBy: 'end' }, 'down')),
  wire('reset within the request', (proxy) => proxy.set({ cutAfterBytes: 3000, cutBy: 'reset' }, 'up')),
  wire('black hole', (proxy) => proxy.set({ blackHole: true })),
  wire('answers vanish', (proxy) => proxy.set({ blackHole: true }, 'down')),
  wire('closes slowly', (proxy) => proxy.set({ cutAfterBytes: 4000, cutBy: 'end', slowCloseMs: 1500 }, 'down')),
  {
    name: 'upstream: down',
    begin({ wire }) {
      wire.refuse(true)
      wire.cut()
    },
    end: ({ wire }) => wire.heal(),
  },
  {
    name: 'upstream: answers 503',
    begin: ({ upstream }) => upstream.behave({ status: 503 }),
    end: ({ upstream }) => upstream.behave({}),
  },
  {
    name: 'upstream: 3 s for an answer',
    begin: ({ upstream }) => upstream.behave({ delayMs: 3000 }),
    end: ({ upstream }) => upstream.behave({}),
  },
  { name: 'redis: paused', begin: ({ redis }) => redis.pause(), end: ({ redis }) => redis.resume() },
  { name: 'redis: killed, and started again', begin: ({ redis }) => redis.kill(), end: ({ redis }) => redis.restart() },
  store('connections reset', (proxy) => {
    proxy.refuse(true)
    proxy.cut()
  }),
  store('answers vanish', (proxy) => proxy.set({ blackHole: true }, 'down')),
  store('150 ms late', (proxy) => proxy.set({ latencyMs: 150 })),
]

export const FAILOVERS: readonly Scenario<SentinelWorld>[] = [
  {
    name: 'redis: the primary is killed, and fails over',
    storeForgets: true,
    begin: async ({ sentinels }) => (await sentinels.primary()).kill(),
    end() {},
  },
  {
    name: 'redis: the primary freezes, and fails over',
    storeForgets: true,
    begin: async ({ sentinels }) => (await sentinels.primary()).pause(),
    end: ({ sentinels }) => {
      for (const server of sentinels.servers) server.resume()
    },
  },
]
