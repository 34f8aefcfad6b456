// The same mounts again, under stacks of their own: for the gateway's own calls, which others wait for while they hold slots.
// In one stack with those, they could wait for each other.
import type { AdapterPolicy, LimitsPolicy } from '../model/adapter-policy.ts'
import type { Routes } from '../model/ports.ts'

/** `suffix` follows the adapters' names and has a character that no configured name has. */
export function createTwinRoutes(routes: Routes, suffix: string): Routes {
  // By identity, since that is what stacks are found by.
  const twins = new WeakMap<AdapterPolicy, AdapterPolicy>()
  const twinOf = (adapter: AdapterPolicy): AdapterPolicy => {
    const known = twins.get(adapter)
    if (known) return known
    // Their credentials stand in bodies, where nothing can tell one from another; and the gateway is their one caller.
    const limits: LimitsPolicy = { ...adapter.limits, cooldown: false, rateBy: 'origin' }
    const twin = { ...adapter, name: adapter.name + suffix, limits }
    twins.set(adapter, twin)
    return twin
  }
  return {
    ...routes,
    find(url) {
      const found = routes.find(url)
      return found && { ...found, adapter: twinOf(found.adapter) }
    },
  }
}

/** The name that an adapter or its twin has in the configuration: no such name holds a colon, and a twin's has one. */
export function configuredName(name: string): string {
  const colon = name.indexOf(':')
  return colon < 0 ? name : name.slice(0, colon)
}
