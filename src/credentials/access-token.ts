// An access token as this replica holds it, on its monotonic clock, and as replicas pass it on, on the wall clock.
import { z } from 'zod'
import type { Clock } from '../model/ports.ts'
import type { IssuedToken } from './token-answer.ts'

/** Renewed this long before its end, or in the last fifth of a short life; nobody waits for that. */
const AHEAD_MS = 60_000
/** Not sent this shortly before its end, or in the last tenth: it has to live until it arrives. */
const LEEWAY_MS = 5_000

/** Replicas' wall clocks may. */
const CLOCKS_DIFFER_MS = 60_000

export interface AccessToken {
  readonly value: string
  /** On the monotonic clock, ms, as the two that follow. */
  readonly obtainedAt: number
  readonly renewAt: number
  readonly endsAt: number
  /** The upstream answered it with a 401. */
  refused: boolean
}

export const sharedToken = z.strictObject({
  value: z.string().min(1),
  obtainedAt: z.number(),
  renewAt: z.number(),
  endsAt: z.number(),
})

/** Its instants are ms since 1970. */
export type SharedToken = z.infer<typeof sharedToken>

/** `askedAt`: its life is counted from then, on the safe side. */
export function accessToken({ value, lifeMs: life }: IssuedToken, askedAt: number, obtainedAt: number): AccessToken {
  return {
    value,
    obtainedAt,
    renewAt: askedAt + life - Math.min(AHEAD_MS, life / 5),
    endsAt: askedAt + life - Math.min(LEEWAY_MS, life / 10),
    refused: false,
  }
}

export function toShared({ value, obtainedAt, renewAt, endsAt }: AccessToken, clock: Clock): SharedToken {
  const offset = clock.date() - clock.now()
  return { value, obtainedAt: obtainedAt + offset, renewAt: renewAt + offset, endsAt: endsAt + offset }
}

/** null: whoever kept it has a clock that is too far ahead of this one for its times to mean anything here. */
export function fromShared(shared: SharedToken, clock: Clock): AccessToken | null {
  const now = clock.now()
  const passed = clock.date() - shared.obtainedAt
  if (passed < -CLOCKS_DIFFER_MS) return null
  const age = Math.max(0, passed)
  const at = (instant: number): number => now + instant - shared.obtainedAt - age
  return { value: shared.value, obtainedAt: now - age, renewAt: at(shared.renewAt), endsAt: at(shared.endsAt), refused: false }
}

/** What another replica renewed is taken where it serves, and serves better than what is at hand. */
export function isBetter(found: AccessToken, present: AccessToken | null, now: number): boolean {
  if (found.endsAt <= now) return false
  return present === null || (found.value !== present.value && (present.refused || found.endsAt > present.endsAt))
}
