// The kinds of value a configuration file can hold: how each is read from what was written, and how JSON Schema describes
// it. Structure is schema.ts' affair. Values may have come from `${VARIABLE}`, so numbers and switches are also read from text.
import { closest, distance } from 'fastest-levenshtein'
import { z } from 'zod'
import { parseDuration, parsePercent, parseRate, parseSize, type Reading } from '../model/units.ts'

const good = <T>(value: T): Reading<T> => ({ ok: true, value })
const bad = (fault: string): { readonly ok: false; readonly fault: string } => ({ ok: false, fault })

/** Matches text that still has to be filled in from the environment, so that an editor accepts it for any kind. */
const VARIABLE = '\\$\\{'

/**
 * One value: `read` gets what the file holds (undefined: nothing); its fault continues a sentence that begins with the key and
 * says what to write instead: "must be a whole number from 1 to 9".
 */
export function field<T>(read: (written: unknown) => Reading<T>, json: Readonly<Record<string, unknown>>) {
  return z
    .unknown()
    .transform((written, context): T => {
      const reading = read(written)
      if (reading.ok) return reading.value
      context.issues.push({
        code: 'custom',
        message: written === undefined ? `is missing; it ${reading.fault}` : reading.fault,
        input: written,
      })
      return z.NEVER
    })
    .meta({ ...json })
}

/** A mapping whose unknown keys are refused; its message carries the known keys to faults.ts. A key without a value is `{}`. */
export function section<S extends z.core.$ZodLooseShape>(shape: S) {
  const known = Object.keys(shape).join(' ')
  return z.preprocess(
    (written) => (written === null ? {} : written),
    z.strictObject(shape, {
      error: (issue) => (issue.code === 'unrecognized_keys' ? known : 'must be a mapping; write its keys below it, indented'),
    }),
  )
}

export const OFF = field<null>((written) => (isOff(written) ? good(null) : bad('must be off or false')), {
  enum: [false, 'off'],
  title: 'off',
})

function isOff(written: unknown): boolean {
  return written === false || written === 'off' || written === 'false'
}

/** A section that `off` or `false` switches off, which reads as null. */
export function offOr<T extends z.ZodType>(schema: T) {
  return z.union([OFF, schema])
}

const present = (written: unknown): written is number | string => typeof written === 'number' || typeof written === 'string'

function unit<T>(
  parse: (value: number | string) => Reading<T>,
  form: string,
  accept: (value: T) => string | null,
): (written: unknown) => Reading<T> {
  return (written) => {
    if (!present(written)) return bad(`must be ${form}`)
    const parsed = parse(written)
    if (!parsed.ok) return parsed
    const objection = accept(parsed.value)
    return objection === null ? parsed : bad(objection)
  }
}

/** `pattern` judges text alone; a bare number is of the base unit. */
const unitJson = (title: string, type: 'integer' | 'number', pattern: string, examples: readonly string[]) => ({
  type: ['string', type],
  pattern: `${pattern}|${VARIABLE}`,
  title,
  examples,
})

/** In ms. `least` is 1 unless zero has a meaning. The most is what a timer can hold, unless it is no timer. */
export function duration(least: 0 | 1 = 1, most = 2 ** 31 - 1) {
  const form = 'a duration such as 250ms, 3.05s, 2m or 24h'
  const accept = (ms: number) => (ms < least ? 'must be at least 1ms' : ms > most ? `must be at most ${most} ms (24 days)` : null)
  return field(
    unit(parseDuration, form, accept),
    unitJson('duration', 'integer', '^\\d+(\\.\\d+)?(ms|s|m|h)$', ['250ms', '3.05s', '2m']),
  )
}

/** In ms, for what is counted in days: as a duration, or `400d`. */
export function age() {
  const form = 'an age such as 36h or 400d'
  return field<number>(
    (written) => {
      const days = typeof written === 'string' ? /^(\d{1,6})d$/.exec(written) : null
      const read = days ? good(Number(days[1]) * 86_400_000) : unit(parseDuration, form, () => null)(written)
      return read.ok && read.value < 60_000 ? bad('must be at least 1m') : read
    },
    unitJson('age', 'integer', '^\\d+(\\.\\d+)?(ms|s|m|h|d)$', ['36h', '400d']),
  )
}

/** In bytes, at least 1. */
export function size() {
  const form = 'a size such as 64KiB or 10MiB'
  return field(
    unit(parseSize, form, (bytes) => (bytes < 1 ? 'must be at least 1 byte' : null)),
    unitJson('size', 'integer', '^\\d+(\\.\\d+)?(B|KB|MB|GB|KiB|MiB|GiB)$', ['64KiB', '10MiB']),
  )
}

/** As a ratio, above 0 and up to 1. */
export function percent() {
  const form = 'a share between 1% and 100%, such as 20%'
  return field(
    unit(parsePercent, form, (ratio) => (ratio <= 0 || ratio > 1 ? `must be ${form}` : null)),
    unitJson('share', 'number', '^\\d+(\\.\\d+)?%$', ['20%', '50%']),
  )
}

export function rate() {
  return field(
    unit(parseRate, 'a rate such as 100/s or 5000/h', () => null),
    { type: 'string', pattern: `^\\d+/[smh]$|${VARIABLE}`, title: 'rate', examples: ['100/s', '5000/h'] },
  )
}

export function integer(least: number, most: number) {
  const form = `a whole number from ${least} to ${most}`
  return field(
    (written) => {
      const number = typeof written === 'string' && /^\d{1,15}$/.test(written) ? Number(written) : written
      const fits = typeof number === 'number' && Number.isInteger(number) && number >= least && number <= most
      return fits ? good(number) : bad(`must be ${form}`)
    },
    {
      title: `${least}-${most}`,
      anyOf: [
        { type: 'integer', minimum: least, maximum: most },
        { type: 'string', pattern: `^\\d+$|${VARIABLE}` },
      ],
    },
  )
}

export function flag() {
  return field(
    (written) => {
      if (written === true || written === 'true' || written === 'on') return good(true)
      return isOff(written) ? good(false) : bad('must be true or false')
    },
    { title: 'true or false', anyOf: [{ enum: [true, false, 'on', 'off'] }, { type: 'string', pattern: VARIABLE }] },
  )
}

export function choice<const C extends readonly string[]>(...choices: C) {
  const list = choices.join(', ')
  return field<C[number]>(
    (written) => {
      if (choices.some((known) => known === written)) return good(written as C[number])
      const near = typeof written === 'string' ? nearest(written, choices) : null
      return bad(`must be one of ${list}${near ? `; did you mean ${near}?` : ''}`)
    },
    { title: choices.join(', '), anyOf: [{ enum: choices }, { type: 'string', pattern: VARIABLE }] },
  )
}

/** Free text; a number or a switch has to be put in quotes, since YAML would not keep its digits. */
export function text(form: string, accept: (written: string) => boolean = (written) => written !== '') {
  return field(
    (written) => {
      if (typeof written === 'string') return accept(written) ? good(written) : bad(`must be ${form}`)
      return bad(present(written) || typeof written === 'boolean' ? 'must be text; put it in quotes' : `must be ${form}`)
    },
    { type: 'string', title: 'text' },
  )
}

/** As `text`, where empty text means absent: `"${REDIS_URL:-}"` is how a key is left to the environment. Reads as null. */
export function optionalText(form: string, accept: (written: string) => boolean = () => true) {
  return field<string | null>(
    (written) => {
      if (typeof written !== 'string') return bad(`must be ${form}`)
      if (written === '') return good(null)
      return accept(written) ? good(written) : bad(`must be ${form}`)
    },
    { type: 'string', title: 'text' },
  )
}

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

export function name() {
  return field(
    (written) =>
      typeof written === 'string' && NAME.test(written)
        ? good(written)
        : bad('must be a name of 1-64 letters, digits, dots, underscores and dashes that begins with a letter or digit'),
    { type: 'string', title: 'name', anyOf: [{ pattern: NAME.source }, { pattern: VARIABLE }] },
  )
}

/** A known word close enough to be what was meant; null where none is. */
export function nearest(written: string, known: readonly string[]): string | null {
  if (known.length === 0) return null
  const found = closest(
    written.toLowerCase(),
    known.map((word) => word.toLowerCase()),
  )
  const word = known.find((candidate) => candidate.toLowerCase() === found)
  const allowed = Math.max(1, Math.floor(Math.max(written.length, found.length) / 2))
  return word !== undefined && distance(written.toLowerCase(), found) <= allowed ? word : null
}
