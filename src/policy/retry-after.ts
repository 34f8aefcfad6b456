// The Retry-After header (RFC 9110 §10.2.3): digits, or an HTTP-date in one of its three forms (§5.6.7), and nothing else.

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec']
const DAY = '(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)'
const LONG_DAY = '(?:Monday|Tuesday|Wednesday|Thursday|Friday|Saturday|Sunday)'
const MONTH = `(?<month>${MONTHS.join('|')})`
const TIME = '(?<hour>\\d\\d):(?<minute>\\d\\d):(?<second>\\d\\d)'

const FORMS = [
  new RegExp(`^${DAY}, (?<day>\\d\\d) ${MONTH} (?<year>\\d{4}) ${TIME} GMT$`), // IMF-fixdate
  new RegExp(`^${LONG_DAY}, (?<day>\\d\\d)-${MONTH}-(?<year>\\d\\d) ${TIME} GMT$`), // RFC 850
  new RegExp(`^${DAY} ${MONTH} (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})$`), // asctime
]
const LONGEST_DATE = 'Wednesday, 06-Nov-94 08:49:37 GMT'.length

/** Milliseconds from `now` (wall clock, ms since 1970); a date in the past is 0. null: not a Retry-After value. */
export function parseRetryAfter(value: string, now: number): number | null {
  const text = value.trim()
  if (isDigits(text)) return Math.min(Number(text) * 1000, Number.MAX_SAFE_INTEGER)
  const date = parseHttpDate(text, now)
  return date === null ? null : Math.max(0, date - now)
}

function isDigits(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code < 48 || code > 57) return false
  }
  return text.length > 0
}

function parseHttpDate(text: string, now: number): number | null {
  if (text.length > LONGEST_DATE) return null
  for (const form of FORMS) {
    const found = form.exec(text)?.groups
    if (found) return toTime(found, now)
  }
  return null
}

function toTime(found: Readonly<Record<string, string>>, now: number): number | null {
  const month = MONTHS.indexOf(found.month ?? '')
  const [day, hour, minute, second] = [found.day, found.hour, found.minute, found.second].map(Number) as number[]
  const year = fullYear(found.year ?? '', now)
  if (day === undefined || hour === undefined || minute === undefined || second === undefined) return null
  if (hour > 23 || minute > 59 || second > 60) return null // 60: a leap second
  const start = new Date(Date.UTC(2000, month, day))
  start.setUTCFullYear(year, month, day) // Date.UTC takes years under 100 for 19xx
  if (start.getUTCDate() !== day || start.getUTCMonth() !== month) return null // 31 Feb
  return start.getTime() + ((hour * 60 + minute) * 60 + second) * 1000
}

/** Two digits more than 50 years ahead mean the century before (RFC 9110 §5.6.7). */
function fullYear(text: string, now: number): number {
  const year = Number(text)
  if (text.length === 4) return year
  const thisYear = new Date(now).getUTCFullYear()
  const guess = Math.floor(thisYear / 100) * 100 + year
  return guess > thisYear + 50 ? guess - 100 : guess
}
