// The greatest revision of each secret that is known to have been written: what is older was put back by somebody.

export interface HighWater {
  /** 0: none. */
  of(name: string): number
  /** Takes in what others raised. True where something may have changed. Rejects with Overloaded. */
  follow(): Promise<boolean>
  /** Never lowers. Rejects with Overloaded. */
  raise(name: string, revision: number): Promise<void>
}

/** Where secrets do not outlive the process. */
export const NO_HIGH_WATER: HighWater = { of: () => 0, follow: async () => false, raise: async () => {} }
