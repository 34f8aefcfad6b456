// Where an adapter's configuration puts the values of a secret of the scheme placeholder: its texts read and judged, and filled
// in with a secret's values, once a version. What becomes of a request is schemes/placeholder.ts' affair.
import { GatewayError } from '../errors/gateway-error.ts'
import type { AdapterPolicy, Placement } from '../model/adapter-policy.ts'
import type { InjectedHeader } from '../model/credential-scheme.ts'
import { originOf, parseMount } from '../model/mount.ts'
import { MASK } from '../model/outgoing-view.ts'
import type { PreparedUrl } from '../model/prepared-request.ts'
import { headerValue } from './scheme.ts'

type Piece = { readonly text: string } | { readonly name: string }

interface Sides {
  readonly before: string
  readonly after: string
}

/** What stands around that of the caller's path which follows the mount: as it is sent, and as it is shown. */
export interface PlacedPath extends Sides {
  readonly shown: Sides
  /** False: nothing may follow the mount. */
  readonly takesRest: boolean
  /** The mount's own path; empty for a catch-all. */
  readonly mountPath: string
}

export interface Places {
  /** null: the path stays. */
  readonly path: PlacedPath | null
  readonly query: readonly (readonly [name: string, value: string])[]
  readonly headers: readonly InjectedHeader[]
  /** `value` and `shown` are JSON. */
  readonly body: readonly { readonly steps: readonly string[]; readonly value: string; readonly shown: string }[]
}

/** Of values, in secrets and in braces alike. */
export const VALUE_NAME = /^[A-Za-z][A-Za-z0-9_-]{0,63}$/

const PIECE = /\{\{|\{([A-Za-z][A-Za-z0-9_-]{0,63})\}|[^{]+|\{/g
/** Stands for what follows the mount in the caller's path. */
const REST = '/**'

/** null: a brace that opens nothing. */
function readText(written: string): readonly Piece[] | null {
  const pieces: Piece[] = []
  for (const [whole, name] of written.matchAll(PIECE)) {
    if (whole === '{') return null
    pieces.push(name === undefined ? { text: whole === '{{' ? '{' : whole } : { name })
  }
  return pieces
}

/** The faults below continue a sentence that begins with the key; null: none. */
export function textFault(written: string): string | null {
  return readText(written)?.some((piece) => 'name' in piece)
    ? null
    : 'must name a value of the secret in braces, such as {token}; write "{{" for a brace'
}

export function pathFault(written: string): string | null {
  if (!/^\/[^\s?#\\]*$/.test(written)) return 'must be a path such as /bot{token}/**'
  if (/%(?:2f|5c|25|2e)/i.test(written) || /\/\.\.?(?:\/|$)/.test(written))
    return 'has dot segments or encoded slashes; write the path as the upstream wants it'
  const stars = written.split('/').filter((segment) => segment.includes('*'))
  if (stars.length > 1 || (stars.length === 1 && stars[0] !== '**'))
    return 'may hold one ** as a segment of its own, for what follows the mount, and no other *'
  return textFault(written)
}

export function isPointer(written: string): boolean {
  return readPointer(written) !== null
}

/** RFC 6901; null: it is none, or points at the whole. */
function readPointer(written: string): readonly string[] | null {
  if (!/^(?:\/(?:[^/~]|~[01])*)+$/.test(written)) return null
  const steps = written.slice(1).split('/')
  return steps.map((step) => step.replaceAll('~1', '/').replaceAll('~0', '~'))
}

/** Throws UnknownCredential where the values do not fit the places. */
export function fillIn(
  placement: Placement,
  adapter: AdapterPolicy,
  secret: string,
  values: Readonly<Record<string, string>>,
): Places {
  const fail = (why: string): never => {
    throw new GatewayError(
      'UnknownCredential',
      `secret "${secret}" cannot be put where adapter "${adapter.name}" wants it: ${why}`,
    )
  }
  const valueNamed = (name: string): string =>
    Object.hasOwn(values, name) ? (values[name] ?? '') : fail(`it has no value "${name}"`)
  return {
    path: placement.path === null ? null : fillPath(placement.path, adapter.mount, valueNamed, fail),
    query: placement.query.map(([name, written]) => [name, fill(written, valueNamed)]),
    headers: placement.headers.map(([name, written]) => {
      const value = fill(written, valueNamed)
      if (!headerValue.safeParse(value).success) fail(`it makes no header text in ${name}`)
      return { name, value, masked: fill(written, masked) }
    }),
    body: placement.body.map(([pointer, written]) => ({
      steps: readPointer(pointer) ?? fail(`${pointer} is no JSON pointer`),
      value: JSON.stringify(fill(written, valueNamed)),
      shown: JSON.stringify(fill(written, masked)),
    })),
  }
}

const masked = (): string => MASK

function fill(written: string, show: (name: string) => string): string {
  return (readText(written) ?? []).map((piece) => ('text' in piece ? piece.text : show(piece.name))).join('')
}

function fillPath(
  written: string,
  mount: string,
  valueNamed: (name: string) => string,
  fail: (why: string) => never,
): PlacedPath {
  const rest = written.indexOf(REST)
  const sides = (show: (name: string) => string): Sides => ({
    before: fill(rest < 0 ? written : written.slice(0, rest + 1), show),
    after: fill(rest < 0 ? '' : written.slice(rest + REST.length), show),
  })
  const segment = (name: string): string => {
    const value = valueNamed(name)
    return READ_TWO_WAYS.test(value)
      ? fail(`value "${name}" holds what would end or hide a segment of the path`)
      : encodeSegment(value)
  }
  const sent = sides(segment)
  if (HIDDEN_DOTS.test(`${sent.before}|${sent.after}`)) fail('it makes a dot segment of the path')
  const parsed = parseMount(mount)
  return { ...sent, shown: sides(masked), takesRest: rest >= 0, mountPath: parsed.ok ? parsed.mount.path : '' }
}

/** One segment to us must be one to every server: no separator, and nothing that one would decode to such. */
const READ_TWO_WAYS = /[/\\\p{Cc}]|%[0-9a-f]{2}/iu
const HIDDEN_DOTS = /\/\.\.?(?:;|\/|\||$)/

/** RFC 3986 §3.3: what may stand in a segment as it is, `;` apart, which some servers end a segment at. */
function encodeSegment(value: string): string {
  return encodeURIComponent(value).replace(/%(?:3A|40|24|2C|3D|26|2B)/g, decodeURIComponent)
}

const URL_OF_SITE = /^((?:https?:)?\/\/[^/?#]*)?(\/[^?#]*)(.*)$/is

/**
 * A URL of the upstream's own, absolute or with an absolute path, as the caller would write it: without what was put around
 * the path. Any other comes back as it is. `url`: what the caller asked for.
 */
export function asAsked(text: string, url: PreparedUrl, placed: PlacedPath): string {
  const [, site = '', path = '', tail = ''] = URL_OF_SITE.exec(text) ?? []
  if (path === '' || (site !== '' && !isSite(site, url))) return text
  const { before, after, takesRest, mountPath } = placed
  const segments = path.split('/')
  const first = before.split('/').slice(0, takesRest ? -1 : undefined)
  const last = after.split('/').slice(1)
  const end = segments.length - last.length
  const fits = takesRest ? first.length <= end : first.length === segments.length
  if (!fits || !isSame(segments.slice(0, first.length), first) || !isSame(segments.slice(end), last)) return text
  return `${site}${mountPath.replace(/\/$/, '')}/${segments.slice(first.length, end).join('/')}${tail}`
}

function isSite(site: string, { scheme, origin }: PreparedUrl): boolean {
  const whole = site.startsWith('//') ? `${scheme}:${site}` : site
  return URL.canParse(whole) && originOf(new URL(whole)) === origin
}

/** Servers differ in what they percent-encode. */
function isSame(given: readonly string[], own: readonly string[]): boolean {
  return given.length === own.length && given.every((segment, at) => octetsOf(segment) === octetsOf(own[at] ?? ''))
}

const octetsOf = (text: string): string =>
  text.replace(/%([0-9a-f]{2})/gi, (_, octet: string) => String.fromCharCode(Number.parseInt(octet, 16)))
