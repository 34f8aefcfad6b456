// A breaker state that an operator set by hand: who, why, and for how long. It stands above every breaker that it covers.

export interface Override {
  /** Forced open refuses every call, forced closed admits every call; neither counts any. */
  readonly state: 'open' | 'closed'
  /** The operator's name. */
  readonly by: string
  readonly reason: string
  /** Wall clock, ms since 1970. */
  readonly since: number
  /** Wall clock, ms since 1970; null: until lifted. */
  readonly until: number | null
}

/** What it covers. */
export interface OverrideScope {
  readonly adapter: string
  /** null: every origin under the adapter, those that nobody called yet included. */
  readonly origin: string | null
}

export interface OverrideEntry extends OverrideScope, Override {}
