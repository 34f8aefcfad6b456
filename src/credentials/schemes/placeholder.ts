// Values with names of their own, which an adapter's configuration puts into path, query, headers or JSON body. Where they go
// is never a caller's to say: the same braces in a descriptor are plain data.
import { z } from 'zod'
import { GatewayError } from '../../errors/gateway-error.ts'
import { setJsonMember } from '../../json/set-member.ts'
import type { AdapterPolicy } from '../../model/adapter-policy.ts'
import type { Injection, OpenCredential, Rewriting } from '../../model/credential-scheme.ts'
import { getHeader } from '../../model/header-list.ts'
import type { HopRequest } from '../../model/hop.ts'
import { MASK, withQueryPair, withTarget } from '../../model/outgoing-view.ts'
import type { PreparedUrl } from '../../model/prepared-request.ts'
import { asAsked, fillIn, type PlacedPath, type Places, VALUE_NAME } from '../placement.ts'
import { anyText, faultsOf, type Scheme } from '../scheme.ts'
import { cleanUrlHeaders, maskInUrl, withPathsAsAsked } from '../url-echo.ts'

/** contract, "Units and JSON". */
const MOST_LEVELS = 64
const JSON_TYPE = /^application\/(?:[^;\s]+\+)?json\s*(?:;|$)/i

const values = z
  .record(
    z.string().regex(VALUE_NAME, 'names are letters, digits, "_" and "-", a letter first'),
    anyText.min(1, 'must not be empty'),
  )
  .refine((given) => Object.keys(given).length > 0, 'at least one value') as z.ZodType<Record<string, string>>

export const placeholder: Scheme = {
  name: 'placeholder',
  place: 'request',
  about: "goes where the adapter's `credentials` say: a path, JSON body, query or header",
  example: { token: '…' },
  values,
  fields: ['value'],
  named: true,
  optional: new Set(),
  open(given) {
    const checked = values.safeParse(given)
    if (!checked.success) throw new GatewayError('InvalidHeader', `credential of scheme placeholder: ${faultsOf(checked.error)}`)
    return openPlaceholder(checked.data)
  },
}

function openPlaceholder(given: Readonly<Record<string, string>>): OpenCredential {
  const known = new WeakMap<AdapterPolicy, Places>()
  const placesIn = ({ plan: { adapter, credential } }: HopRequest): Places => {
    const name = credential.kind === 'stored' ? credential.name : ''
    if (adapter.placement === null || adapter.credentials !== name)
      throw new GatewayError(
        'UnknownCredential',
        `secret "${name}" is of scheme placeholder, and adapter "${adapter.name}" does not say where it goes; say so in its credentials`,
      )
    const places = known.get(adapter) ?? fillIn(adapter.placement, adapter, name, given)
    known.set(adapter, places)
    return places
  }
  return {
    dialogue: null,
    inject: (request) => injectionOf(request, placesIn(request)),
    cleanHeaders: (rawHeaders, request) => {
      const places = placesIn(request)
      const { path } = places
      return cleanUrlHeaders(rawHeaders, (value, name) => {
        const asked = path === null ? value : withPathsAsAsked(value, name, (url) => asAsked(url, request.url, path))
        return name === 'set-cookie' ? asked : maskInUrl(asked, Object.values(given))
      })
    },
  }
}

function injectionOf(request: HopRequest, places: Places): Injection {
  const { path, query, headers, body } = places
  if (path === null && query.length === 0 && body.length === 0) return { headers, query: null }
  const inPath = placePath(request, path)
  const rewritten: Rewriting = {
    url: query.reduce((url, [name, value]) => withQueryPair(url, name, value), inPath.url),
    body: placeBody(request, body, 'value'),
    shown: {
      url: query.reduce((url, [name]) => withQueryPair(url, name, MASK), inPath.shown),
      body: placeBody(request, body, 'shown'),
    },
  }
  return { headers, query: null, rewritten }
}

function placePath(
  { url, plan }: HopRequest,
  path: PlacedPath | null,
): { readonly url: PreparedUrl; readonly shown: PreparedUrl } {
  if (path === null) return { url, shown: url }
  // A mount without a slash at its end matches up to one.
  const from = path.mountPath.length
  const rest = url.path.slice(!path.mountPath.endsWith('/') && url.path[from] === '/' ? from + 1 : from)
  if (!path.takesRest && rest !== '')
    throw new GatewayError(
      'Forbidden',
      `adapter "${plan.adapter.name}" has one path of its own; call ${plan.adapter.mount} itself`,
    )
  const query = url.target.slice(url.path.length)
  const around = ({ before, after }: Pick<PlacedPath, 'before' | 'after'>): PreparedUrl =>
    withTarget(url, `${before}${rest === '' ? after.slice(1) : rest + after}${query}`)
  return { url: around(path), shown: around(path.shown) }
}

function placeBody({ body, headers, plan }: HopRequest, places: Places['body'], as: 'value' | 'shown'): Uint8Array | null {
  if (places.length === 0) return body
  const fail = (why: string): never => {
    throw new GatewayError(
      'Forbidden',
      `adapter "${plan.adapter.name}" puts its credential into the JSON body, and the body ${why}; send a JSON object`,
    )
  }
  if (body === null || body.length === 0) return fail('is empty')
  if (!JSON_TYPE.test(getHeader(headers, 'content-type') ?? '')) return fail('is not said to be JSON')
  let bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength)
  for (const place of places) {
    const setting = setJsonMember(bytes, place.steps, place[as], MOST_LEVELS)
    bytes = setting.ok ? setting.bytes : fail(setting.fault)
  }
  return bytes
}
