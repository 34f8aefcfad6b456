// What upstreams' 429s ask of one credential, on several replicas: who meets one tells, all others honour it.

export interface CooldownSeat {
  /** A 429 holds `key` back until then, on the monotonic clock. `hurry`: it was free before, and is told at once. */
  tell(key: string, told: { readonly until: number; readonly hurry: boolean }): void
  leave(): void
}

export interface CooldownFleet {
  /** `heard`: another replica was asked to hold `key` back, until then on our monotonic clock; once for each that it tells. */
  join(adapter: string, origin: string, heard: (key: string, until: number) => void): CooldownSeat
  close(): void
}
