// When the end of a secret is announced. Pure.

const HOUR_MS = 3_600_000

/** Before the end, ms; the first that has been passed is announced, each once. */
export const EXPIRY_THRESHOLDS_MS: readonly number[] = [0, HOUR_MS, 24 * HOUR_MS, 7 * 24 * HOUR_MS, 30 * 24 * HOUR_MS]

/** The threshold to announce now; null: none. `announced`: the last one of this version, null: none yet. */
export function decideExpiryWarning(remainingMs: number, announced: number | null): number | null {
  const passed = EXPIRY_THRESHOLDS_MS.find((threshold) => remainingMs <= threshold)
  return passed === undefined || (announced !== null && announced <= passed) ? null : passed
}
