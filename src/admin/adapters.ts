// Adapters as operators see them: policy, live state of each origin, and what was set over their breakers.
import type { PoolSample } from '../adapters/adapter-pool.ts'
import { configuredName } from '../adapters/twin-routes.ts'
import type { Config } from '../config/config.ts'
import type { AdminInput, AdminOutput } from '../descriptor/admin-entrances.ts'
import { GatewayError } from '../errors/gateway-error.ts'
import type { AdapterPolicy } from '../model/adapter-policy.ts'
import type { OverrideEntry } from '../model/breaker-override.ts'
import { originOf } from '../model/mount.ts'
import type { Clock } from '../model/ports.ts'
import { viewAdapter } from './config-view.ts'
import { endOf, instant, instantOrNull, invalid } from './instants.ts'
import type { Deed } from './operation.ts'
import type { SharedOverrides } from './shared-overrides.ts'

/** One origin's stack, under the name that its adapter has in the configuration. */
interface OriginSample extends PoolSample {
  readonly purpose: 'calls' | 'tokens'
}

export interface AdaptersPorts {
  readonly clock: Pick<Clock, 'date'>
  readonly config: () => Pick<Config, 'adapters'>
  readonly samples: () => readonly PoolSample[]
  readonly overrides: SharedOverrides
}

export function createAdapterOperations({ clock, config, samples, overrides }: AdaptersPorts) {
  const find = (name: string): AdapterPolicy => {
    const found = config().adapters.find((adapter) => adapter.name === name)
    if (found) return found
    throw new GatewayError('NotFound', `There is no adapter "${name}"; GET /v1/admin/adapters lists them.`)
  }
  const overridesOf = (adapter: string) =>
    overrides
      .all()
      .filter((entry) => entry.adapter === adapter)
      .map(viewOverride)
  const view = (adapter: AdapterPolicy, origins: readonly OriginSample[]): AdminOutput<'getAdapter'> => ({
    name: adapter.name,
    mount: adapter.mount,
    overrides: overridesOf(adapter.name),
    origins: origins.filter((sample) => sample.adapter === adapter.name).map((sample) => viewOrigin(sample, overrides)),
    policy: viewAdapter(adapter),
  })
  const sorted = (): OriginSample[] =>
    samples()
      .map(configured)
      .sort((a, b) => order(a.origin, b.origin) || order(a.purpose, b.purpose))

  return {
    listAdapters: (): AdminOutput<'listAdapters'> => {
      const origins = sorted()
      return { adapters: config().adapters.map((adapter) => view(adapter, origins)) }
    },
    getAdapter: ({ params }: AdminInput<'getAdapter'>) => view(find(params.name ?? ''), sorted()),
    setBreaker({ params, body }: AdminInput<'setBreaker'>, who: string): Deed<AdminOutput<'setBreaker'>> {
      const adapter = find(params.name ?? '')
      const since = clock.date()
      const until = endOf(body, 'until', since)
      const { state } = body
      const origin = body.origin === undefined ? null : originUnder(adapter, body.origin)
      const override = state === null ? null : { state, by: who, reason: body.reason ?? '', since, until }
      return {
        detail: { origin, state, reason: override?.reason ?? null, until: instantOrNull(override?.until ?? null) },
        async carryOut() {
          const shared = await overrides.set({ adapter: adapter.name, origin }, override)
          return { answer: { adapter: adapter.name, overrides: overridesOf(adapter.name), shared }, detail: { shared } }
        },
      }
    },
  }
}

/** Under a twin stand the gateway's own requests for access tokens. */
function configured(sample: PoolSample): OriginSample {
  const adapter = configuredName(sample.adapter)
  return { ...sample, adapter, purpose: adapter === sample.adapter ? 'calls' : 'tokens' }
}

const order = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)

function originUnder({ name, mount }: AdapterPolicy, given: string): string {
  const origin = originOf(new URL(given))
  const scheme = mount.slice(0, mount.indexOf('://') + 3)
  const own = mount === scheme ? null : originOf(new URL(mount))
  if (own === null ? origin.startsWith(scheme) : origin === own) return origin
  throw invalid('/origin', `is not under adapter "${name}", which is mounted on ${mount}`)
}

function viewOverride({ origin, state, by, reason, since, until }: OverrideEntry) {
  return { origin, state, by, reason, since: instant(since), until: instantOrNull(until) }
}

function viewOrigin(sample: OriginSample, overrides: SharedOverrides) {
  const { origin, purpose, breaker, inFlight, queued, connections, idle, retired } = sample
  const forced = overrides.over(sample.adapter, origin)()?.state ?? null
  return { origin, purpose, breaker, forced, inFlight, queued, connections, idle, retired }
}
