// Units as people write them in descriptors and in configuration: durations, sizes, rates, shares. Each reader answers a
// number or a fault to show to the person who wrote it, and never throws. What a value may be beyond its unit (a timeout
// of at least 1 ms, a ceiling) is judged where it is used. contract: "Units and JSON".

export type Reading<T> = { readonly ok: true; readonly value: T } | { readonly ok: false; readonly fault: string }

const DURATION = /^(\d{1,15}(?:\.\d{1,9})?)(ms|s|m|h)$/
const SIZE = /^(\d{1,15}(?:\.\d{1,9})?)(B|KB|MB|GB|KiB|MiB|GiB)$/
const RATE = /^(\d{1,15})\/(s|m|h)$/
const PERCENT = /^(\d{1,3}(?:\.\d{1,9})?)%$/

const MS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }
const BYTES: Readonly<Record<string, number>> = {
  B: 1,
  KB: 1000,
  MB: 1000 ** 2,
  GB: 1000 ** 3,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
}

/** The commonest mistake is seconds, as Requests counts them; the contract fixes these words. */
export const DURATION_HINT = 'milliseconds; for seconds write "3.05s"'

const RATE_FAULT = 'must be a whole number of at least 1 per second, minute or hour: "100/s", "600/m", "5000/h"'
const PERCENT_FAULT = 'must be a share: a number from 0 to 1, or a percentage such as "50%"'

const good = <T>(value: T): Reading<T> => ({ ok: true, value })
const bad = (fault: string): { readonly ok: false; readonly fault: string } => ({ ok: false, fault })

/** Below this, what is left over is the rounding of binary fractions ("1.005s"), not a fraction that somebody wrote. */
const ROUNDING = 1e-6

/** `number × factor` where that is a whole number a double holds exactly, else null. */
function wholeProduct(number: string, factor: number): number | null {
  const exact = Number(number) * factor
  const rounded = Math.round(exact)
  return Math.abs(exact - rounded) < ROUNDING && Number.isSafeInteger(rounded) ? rounded : null
}

const isWhole = (value: number): boolean => Number.isSafeInteger(value) && value >= 0

/** Milliseconds. A whole number of them, or a string with its unit: ms, s, m (minutes), h. 0 is a duration. */
export function parseDuration(value: number | string): Reading<number> {
  if (typeof value === 'number') return isWhole(value) ? good(value) : bad(`must be a whole number of ${DURATION_HINT}`)
  const match = DURATION.exec(value)
  if (!match) return bad(`must be a whole number of ${DURATION_HINT}; the units are ms, s, m and h`)
  const ms = wholeProduct(match[1] as string, MS[match[2] as string] as number)
  return ms === null ? bad(`must come to a whole number of ${DURATION_HINT}`) : good(ms)
}

/** Bytes. A whole number of them, or a string: KiB, MiB, GiB are powers of 1024; B, KB, MB, GB powers of 1000. 0 is a size. */
export function parseSize(value: number | string): Reading<number> {
  if (typeof value === 'number')
    return isWhole(value) ? good(value) : bad('must be a whole number of bytes, or a string such as "64KiB"')
  const match = SIZE.exec(value)
  if (!match)
    return bad('must be a number of bytes, or a string such as "64KiB" or "10MiB"; the units are B, KiB, MiB, GiB, KB, MB and GB')
  const bytes = wholeProduct(match[1] as string, BYTES[match[2] as string] as number)
  return bytes === null ? bad('must come to a whole number of bytes; write it in a smaller unit') : good(bytes)
}

/** So many in each `perMs` milliseconds: "100/s" is 100 in 1000 ms; also /m and /h. */
export function parseRate(value: number | string): Reading<{ readonly count: number; readonly perMs: number }> {
  const match = typeof value === 'string' ? RATE.exec(value) : null
  const count = match ? Number(match[1]) : 0
  return match && count >= 1 ? good({ count, perMs: MS[match[2] as string] as number }) : bad(RATE_FAULT)
}

/** A share from 0 to 1: such a number as it is, or "50%" for 0.5. */
export function parsePercent(value: number | string): Reading<number> {
  if (typeof value === 'number') return value >= 0 && value <= 1 ? good(value) : bad(PERCENT_FAULT)
  const match = PERCENT.exec(value)
  const percent = match ? Number(match[1]) : 101
  return percent <= 100 ? good(percent / 100) : bad(PERCENT_FAULT)
}
