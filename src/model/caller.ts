// Who is calling, and what it may do.
import type { Rate } from './adapter-policy.ts'

export interface Grant {
  readonly adapter: string
  /** null: every method. */
  readonly methods: readonly string[] | null
  /** Path globs; null: every path. */
  readonly paths: readonly string[] | null
  /** Stored secrets and certificates that a descriptor may name there; absent: all that are bound to the caller. */
  readonly secrets?: readonly string[]
}

/** What a caller may ask of the gateway, whatever it calls; at least one of the two. */
export interface Quota {
  readonly rate: Rate | null
  /** Calls at once. */
  readonly concurrency: number | null
}

/** Whose turn comes first in the queue of a full adapter. */
export type Priority = 'high' | 'normal' | 'low'

export interface Caller {
  readonly name: string
  readonly admin: boolean
  /** null: everything (the `local` caller of a gateway without callers). An empty list: nothing. */
  readonly may: readonly Grant[] | null
  /** Absent: none. */
  readonly quota?: Quota
  /** Default normal. */
  readonly priority?: Priority
  /** What grants and quota would refuse is let through, and told. Default false. */
  readonly observe?: boolean
}
