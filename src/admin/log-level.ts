// The level of the process log: the configured one, or what an operator set over it for a time.
import type { Clock, LogLevel } from '../model/ports.ts'

export interface LogLevelState {
  readonly level: LogLevel
  readonly configured: LogLevel
  /** null: it is the configured one. */
  readonly by: string | null
  /** Wall clock, ms since 1970; null: it does not end by itself. */
  readonly until: number | null
}

export interface LogLevelSwitch {
  state(): LogLevelState
  /** null: the configured one again. `forMs` null: until somebody changes it. */
  set(level: LogLevel | null, by: string, forMs: number | null): void
  /** After a reload; what an operator set stands above it. */
  configure(level: LogLevel): void
  close(): void
}

export function createLogLevel(
  first: LogLevel,
  { clock, apply }: { readonly clock: Clock; readonly apply: (level: LogLevel) => void },
): LogLevelSwitch {
  let configured = first
  let set: { readonly level: LogLevel; readonly by: string; readonly until: number | null } | null = null
  let stopTimer = (): void => {}
  const show = (): void => apply(set?.level ?? configured)
  const lift = (): void => {
    stopTimer()
    set = null
    show()
  }
  /** Anew where the time is longer than a timer can hold. */
  const endAt = (until: number): void => {
    stopTimer = clock.after(Math.max(0, until - clock.date()), () => (clock.date() >= until ? lift() : endAt(until)))
  }
  return {
    state: () => ({ level: set?.level ?? configured, configured, by: set?.by ?? null, until: set?.until ?? null }),
    set(level, by, forMs) {
      if (level === null) return lift()
      stopTimer()
      const until = forMs === null ? null : clock.date() + forMs
      set = { level, by, until }
      if (until !== null) endAt(until)
      show()
    },
    configure(level) {
      configured = level
      show()
    },
    close: () => stopTimer(),
  }
}
