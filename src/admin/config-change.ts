// What a reload changes, by name: never a value. Pure.
import { isDeepStrictEqual } from 'node:util'
import type { Config } from '../config/config.ts'

interface Changes {
  readonly added: string[]
  readonly changed: string[]
  readonly removed: string[]
}

export interface ConfigChange {
  readonly adapters: Changes
  readonly callers: Changes
  /** Other keys whose values changed and are in effect. */
  readonly changed: string[]
  /** Keys that changed and are read once, at the start. */
  readonly needsRestart: string[]
}

/** Taken at a reload; every other key is read at the start alone. */
const LIVE: ReadonlySet<string> = new Set(['ceilings', 'caBundles', 'listenPems', 'log', 'idempotency'])

export function describeChange(before: Config, next: Config): ConfigChange {
  const { adapters: _adapters, callers: _callers, ...others } = next
  const keys = (Object.keys(others) as (keyof typeof others)[]).filter((key) => !isDeepStrictEqual(before[key], next[key]))
  return {
    adapters: changes(before.adapters, next.adapters, ({ name }) => name),
    callers: changes(before.callers, next.callers, ({ caller }) => caller.name),
    changed: keys.filter((key) => LIVE.has(key)),
    needsRestart: keys.filter((key) => !LIVE.has(key)),
  }
}

function changes<T>(before: readonly T[], next: readonly T[], nameOf: (one: T) => string): Changes {
  const old = new Map(before.map((one) => [nameOf(one), one]))
  const names = new Set(next.map(nameOf))
  return {
    added: next.map(nameOf).filter((name) => !old.has(name)),
    changed: next.filter((one) => old.has(nameOf(one)) && !isDeepStrictEqual(old.get(nameOf(one)), one)).map(nameOf),
    removed: [...old.keys()].filter((name) => !names.has(name)),
  }
}
