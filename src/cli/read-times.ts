// Times as a person gives them to a command: an instant, or how long from now.
import { InvalidArgumentError } from 'commander'
import { parseDuration } from '../model/units.ts'

const DAY_MS = 86_400_000
/** RFC 3339, or its date alone: midnight, UTC. */
const INSTANT = /^\d{4}-\d\d-\d\d(?:[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d))?$/

/** Ms. Days are written as such: an overlap or a life is often some. */
export function readSpan(text: string): number {
  const days = /^(\d{1,6})d$/.exec(text)
  if (days) return Number(days[1]) * DAY_MS
  const parsed = parseDuration(text)
  if (!parsed.ok) throw new InvalidArgumentError('write it with its unit, such as 90s, 24h or 30d.')
  return parsed.value
}

/** Ms since 1970. */
export function readInstant(text: string): number {
  if (!INSTANT.test(text)) return Date.now() + readSpan(text)
  const at = Date.parse(text)
  if (Number.isNaN(at)) throw new InvalidArgumentError('there is no such day or hour.')
  return at
}
