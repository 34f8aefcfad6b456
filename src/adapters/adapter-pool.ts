// (adapter, origin) → its stack of layers: made on first use, closed when idle, replaced when a reload changes its adapter,
// drained at the end. The one keyed map of the house; what a stack is made of is app.ts' affair.
import { isDeepStrictEqual } from 'node:util'
import { GatewayError } from '../errors/gateway-error.ts'
import type { AdapterPolicy } from '../model/adapter-policy.ts'
import type { CallContext } from '../model/call-context.ts'
import type { Dispatch } from '../model/dispatch.ts'
import type { HopRequest } from '../model/hop.ts'
import type { AdapterSample, Clock } from '../model/ports.ts'
import type { PreparedUrl } from '../model/prepared-request.ts'

export type StackOrigin = Pick<PreparedUrl, 'scheme' | 'hostname' | 'port' | 'origin'>

export interface OriginStack {
  readonly dispatch: Dispatch
  sample(): AdapterSample
  /** Frees sockets and timers. Called once, when no call is in it. Never rejects. */
  close(): Promise<void>
  /** Something besides calls keeps it: it is not closed for being idle, and makes room for another origin last. */
  busy(): boolean
}

export interface AdapterPoolPorts<Shared> {
  build(adapter: AdapterPolicy, origin: StackOrigin, shared: Shared): OriginStack
  /** What all origins of an adapter have in common, such as its retry budget. */
  buildShared(adapter: AdapterPolicy): Shared
  readonly clock: Clock
  /** Origins at once, all adapters together; beyond them the longest idle makes room. */
  readonly maxOrigins: number
  /** An origin without a call for this long is closed. */
  readonly idleMs: number
}

export interface PoolSample extends AdapterSample {
  readonly adapter: string
  /** Of an adapter that a reload changed or removed: it only waits for its calls to end. */
  readonly retired: boolean
}

export interface AdapterPool {
  /** Throws Overloaded where calls are in every origin and there is no room, Draining once closed. */
  readonly dispatch: Dispatch
  /**
   * After a reload. An adapter whose policy is the same keeps its stacks with all their state; those of any other are closed
   * when their calls have ended. `rebuild`: none are kept, since something changed that no policy shows, such as a CA bundle.
   */
  reconcile(adapters: readonly AdapterPolicy[], options?: { readonly rebuild: boolean }): void
  samples(): PoolSample[]
  /** Refuses further calls; resolves when those under way have ended and every stack is closed. */
  close(): Promise<void>
}

/** One adapter in one generation of the configuration. */
interface Mount<Shared> {
  readonly policy: AdapterPolicy
  readonly shared: Shared
  readonly entries: Map<string, Entry<Shared>>
  retired: boolean
}

interface Entry<Shared> {
  readonly mount: Mount<Shared>
  readonly origin: string
  readonly stack: OriginStack
  /** One call fewer is in it. */
  readonly leave: () => void
  calls: number
  /** On the monotonic clock: when the last call ended. */
  idleSince: number
}

export function createAdapterPool<Shared>(ports: AdapterPoolPorts<Shared>): AdapterPool {
  const origins = createOrigins(ports)
  /** The generation that new calls meet. */
  let current = new Map<string, Mount<Shared>>()
  /** By identity, since that is what a plan carries: one look-up a call. Calls under way find an earlier generation here. */
  const mounts = new WeakMap<AdapterPolicy, Mount<Shared>>()

  function mount(policy: AdapterPolicy): Mount<Shared> {
    const made: Mount<Shared> = { policy, shared: ports.buildShared(policy), entries: new Map(), retired: false }
    mounts.set(policy, made)
    return made
  }

  /** A policy that no reload brought: the first of its name is taken up, any other is of an earlier generation. */
  function adopt(policy: AdapterPolicy): Mount<Shared> {
    const known = current.get(policy.name)
    if (known && isDeepStrictEqual(known.policy, policy)) {
      mounts.set(policy, known)
      return known
    }
    const made = mount(policy)
    if (known) made.retired = true
    else current.set(policy.name, made)
    return made
  }

  function dispatch(request: HopRequest, context: CallContext): ReturnType<Dispatch> {
    const policy = request.plan.adapter
    let entry: Entry<Shared>
    try {
      entry = origins.enter(mounts.get(policy) ?? adopt(policy), request.url)
    } catch (error) {
      return Promise.reject(error)
    }
    const answer = entry.stack.dispatch(request, context)
    answer.then(entry.leave, entry.leave)
    return answer
  }

  return {
    dispatch,
    reconcile(adapters, { rebuild } = { rebuild: false }) {
      const next = new Map<string, Mount<Shared>>()
      for (const policy of adapters) {
        const known = current.get(policy.name)
        const same = !rebuild && known !== undefined && isDeepStrictEqual(known.policy, policy)
        next.set(policy.name, same ? known : mount(policy))
        if (same) mounts.set(policy, known)
      }
      for (const [name, before] of current) if (next.get(name) !== before) origins.retire(before)
      current = next
    },
    samples: () => origins.samples(),
    close: () => origins.close(),
  }
}

interface Origins<Shared> {
  /** The stack of that origin, made if there is none, with one more call in it, until its `leave`. */
  enter(mount: Mount<Shared>, url: StackOrigin): Entry<Shared>
  /** Its stacks are closed as soon as no call is in them. */
  retire(mount: Mount<Shared>): void
  samples(): PoolSample[]
  close(): Promise<void>
}

/** How often idle origins are looked for, as a share of idleMs. */
const SWEEPS = 2

/** Every stack there is: how many, how long idle, and when each is closed. */
function createOrigins<Shared>(ports: AdapterPoolPorts<Shared>): Origins<Shared> {
  const { clock, maxOrigins, idleMs } = ports
  const entries = new Set<Entry<Shared>>()
  const closing = new Set<Promise<void>>()
  let stopSweep: (() => void) | null = null
  let drained: Promise<void> | null = null
  let whenEmpty = (): void => {}

  function remove(entry: Entry<Shared>): void {
    entries.delete(entry)
    entry.mount.entries.delete(entry.origin)
    const done = entry.stack.close().then(() => {
      closing.delete(done)
    })
    closing.add(done)
    if (entries.size === 0) whenEmpty()
  }

  function open(mount: Mount<Shared>, { scheme, hostname, port, origin }: StackOrigin): Entry<Shared> {
    if (entries.size >= maxOrigins) makeRoom()
    const stack = ports.build(mount.policy, { scheme, hostname, port, origin }, mount.shared)
    const entry: Entry<Shared> = { mount, origin, stack, calls: 0, idleSince: clock.now(), leave: () => leave(entry) }
    mount.entries.set(origin, entry)
    entries.add(entry)
    stopSweep ??= clock.after(idleMs / SWEEPS, sweep)
    return entry
  }

  function leave(entry: Entry<Shared>): void {
    entry.calls--
    if (entry.calls > 0) return
    entry.idleSince = clock.now()
    if (drained !== null || entry.mount.retired) remove(entry)
  }

  /** The longest idle goes; of those that are busy one only where there is no other, or made-up hosts could shut all others out. */
  function makeRoom(): void {
    const empty = [...entries].filter((entry) => entry.calls === 0).sort((a, b) => a.idleSince - b.idleSince)
    const longest = empty.find((entry) => !entry.stack.busy()) ?? empty[0]
    if (longest === undefined) throw tooMany(maxOrigins)
    remove(longest)
  }

  function sweep(): void {
    const before = clock.now() - idleMs
    for (const entry of [...entries]) if (entry.calls === 0 && entry.idleSince <= before && !entry.stack.busy()) remove(entry)
    stopSweep = entries.size === 0 ? null : clock.after(idleMs / SWEEPS, sweep)
  }

  async function drain(): Promise<void> {
    stopSweep?.()
    for (const entry of [...entries]) if (entry.calls === 0) remove(entry)
    if (entries.size > 0) {
      await new Promise<void>((resolve) => {
        whenEmpty = resolve
      })
    }
    await Promise.all(closing)
  }

  return {
    enter(mount, url) {
      if (drained) throw new GatewayError('Draining', 'The gateway is shutting down; try again, another replica will answer.')
      const entry = mount.entries.get(url.origin) ?? open(mount, url)
      entry.calls++
      return entry
    },
    retire(mount) {
      mount.retired = true
      for (const entry of [...mount.entries.values()]) if (entry.calls === 0) remove(entry)
    },
    samples: () =>
      [...entries].map(({ mount, stack }) => ({ ...stack.sample(), adapter: mount.policy.name, retired: mount.retired })),
    close() {
      drained ??= drain()
      return drained
    },
  }
}

function tooMany(maxOrigins: number): GatewayError {
  return new GatewayError(
    'Overloaded',
    `Calls to ${maxOrigins} origins are under way, and there is no room for another origin.`,
    {
      retryAfter: 1000,
      rule: 'origins',
    },
  )
}
