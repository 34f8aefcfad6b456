// What the transport's tests share: a real clock that knows its timers, ports that open no door by themselves, and a call
// to an upstream on loopback.
import type { AdapterPolicy } from '../../../src/model/adapter-policy.ts'
import type { CallContext } from '../../../src/model/call-context.ts'
import { createCancellation } from '../../../src/model/cancellation.ts'
import type { HopRequest } from '../../../src/model/hop.ts'
import type { Clock, Meter } from '../../../src/model/ports.ts'
import { createTrail } from '../../../src/model/trail.ts'
import { createOriginTransport, type OriginTransport } from '../../../src/transport/origin-transport.ts'
import type { TransportPorts } from '../../../src/transport/ports.ts'
import { aContext, aMeter, anAdapter, aPlan, aRequest, aUrl } from '../../support/builders.ts'

export interface WatchedClock extends Clock {
  /** Timers that are set now. */
  readonly pending: number
}

export function aRealClock(): WatchedClock {
  const timers = new Set<NodeJS.Timeout>()
  return {
    now: () => performance.now(),
    date: () => Date.now(),
    after(ms, callback) {
      const timer = setTimeout(() => {
        timers.delete(timer)
        callback()
      }, ms)
      timers.add(timer)
      return () => {
        timers.delete(timer)
        clearTimeout(timer)
      }
    },
    get pending() {
      return timers.size
    },
  }
}

export const LOOPBACK_ALLOWED: AdapterPolicy['egress'] = {
  allow: ['127.0.0.0/8'],
  allowMetadata: [],
  ports: null,
  mixedAnswers: 'refuse',
}

export function somePorts(over: Partial<TransportPorts> = {}): TransportPorts {
  return {
    clock: aRealClock(),
    meter: aMeter(),
    resolver: { resolve: async () => ['127.0.0.1'], close() {} },
    ownListeners: { has: () => false },
    secrets: {
      find: (name) => {
        throw new Error(`no secret ${name} in this test`)
      },
    },
    caBundle: (name) => {
      throw new Error(`no bundle ${name} in this test`)
    },
    ...over,
  }
}

export interface Caller {
  readonly transport: OriginTransport
  readonly clock: WatchedClock
  readonly meter: Meter & { readonly deeds: [string, ...unknown[]][] }
  readonly adapter: AdapterPolicy
  request(path: string, over?: Partial<Omit<HopRequest, 'plan'>> & { plan?: Partial<HopRequest['plan']> }): HopRequest
  context(over?: Partial<CallContext>): CallContext
}

/** A transport to that origin under generous limits; a test names only what it is about. */
export function aCaller(
  origin: string,
  over: { adapter?: Partial<AdapterPolicy>; ports?: Partial<TransportPorts> } = {},
): Caller {
  const clock = aRealClock()
  const meter = aMeter()
  const adapter = anAdapter({ mount: `${origin}/`, egress: LOOPBACK_ALLOWED, ...over.adapter })
  const transport = createOriginTransport(adapter, aUrl(origin), somePorts({ clock, meter, ...over.ports }))
  return {
    transport,
    clock,
    meter,
    adapter,
    request(path, { plan, ...rest } = {}) {
      return aRequest({ url: aUrl(origin + path), plan: aPlan({ adapter, readMs: 2000, ...plan }), ...rest })
    },
    context: (given = {}) => aContext({ trail: createTrail(), cancellation: createCancellation(), ...given }),
  }
}
