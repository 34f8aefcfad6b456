// Bytes → Descriptor: untrusted text is read once, here, and every fault is told with its pointer. What only an adapter's
// policy can judge (ceilings, Host, names of bundles and secrets) and the URL's own form are judged further on.
import type { z } from 'zod'
import { GatewayError } from '../errors/gateway-error.ts'
import { type JsonNode, type JsonObject, type JsonRaw, type ParseJsonOptions, parseJson } from '../json/parse-json.ts'
import type { JsonFault } from '../json/scan-json.ts'
import type { Descriptor } from '../model/descriptor.ts'
import { createFaults, type Faults } from './faults.ts'
import { readAuth } from './read-auth.ts'
import { type BodyKeys, readBody } from './read-body.ts'
import { addUnknown, isObject, readValue } from './read-node.ts'
import { readCookies, readHeaders, readParams, readTags } from './read-pairs.ts'
import { readRetry, readTimeout, warnOfShortTimeouts } from './read-times.ts'
import { descriptorSchema } from './schema.ts'

/** contract: "A descriptor is UTF-8 JSON, at most 64 levels deep". */
export const MAX_DEPTH = 64

type Draft = { -readonly [Key in keyof Descriptor]: Descriptor[Key] }
type Key = keyof typeof descriptorSchema.shape
type SimpleKey = Exclude<Key, keyof BodyKeys | 'auth' | 'cookies' | 'headers' | 'maxRetries' | 'params' | 'tags' | 'timeout'>
/** Puts what it reads into `draft`, or, for the keys of the body, which are judged together, into `body`. */
type Reader = (draft: Draft, node: JsonNode, pointer: string, faults: Faults, body: BodyKeys) => void

const { shape } = descriptorSchema
const KEYS: readonly string[] = Object.keys(shape)

/** As they are sent: a schema takes longer to say so. */
const COMMON_METHODS: ReadonlySet<JsonNode> = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'])

/** A key whose value is what its schema makes of it. */
function simple<K extends SimpleKey>(
  key: K,
  set: (draft: Draft, value: NonNullable<z.output<(typeof shape)[K]>>) => void,
): Reader {
  const schema = shape[key] as unknown as z.ZodType<NonNullable<z.output<(typeof shape)[K]>>>
  return (draft, node, pointer, faults) => {
    const value = readValue(schema, node, pointer, faults)
    if (value !== undefined) set(draft, value)
  }
}

/** A null reaches `auth` alone. */
const BY_KEY: { readonly [K in Key]: Reader } = {
  url: (draft, node, pointer, faults) => {
    // Any text will do here.
    const url = typeof node === 'string' ? node : readValue(shape.url, node, pointer, faults)
    if (url !== undefined) draft.url = url
  },
  method: (draft, node, pointer, faults) => {
    const method = COMMON_METHODS.has(node) ? (node as string) : readValue(shape.method, node, pointer, faults)
    if (method) draft.method = method
  },
  params: (draft, node, pointer, faults) => {
    draft.params = readParams(node, pointer, faults)
  },
  headers: (draft, node, pointer, faults) => {
    draft.headers = readHeaders(node, pointer, faults)
  },
  cookies: (draft, node, pointer, faults) => {
    draft.cookies = readCookies(node, pointer, faults)
  },
  auth: (draft, node, pointer, faults) => {
    const auth = readAuth(node, pointer, faults)
    if (auth !== undefined) draft.auth = auth
  },
  timeout: (draft, node, pointer, faults) => {
    draft.timeout = readTimeout(node, pointer, faults)
  },
  maxRetries: (draft, node, pointer, faults) => {
    const retry = readRetry(node, pointer, faults)
    if (retry !== undefined) draft.maxRetries = retry
  },
  maxResponseSize: simple('maxResponseSize', (draft, bytes) => {
    draft.maxResponseSize = bytes
  }),
  allowRedirects: simple('allowRedirects', (draft, allow) => {
    draft.allowRedirects = allow
  }),
  maxRedirects: simple('maxRedirects', (draft, count) => {
    draft.maxRedirects = count
  }),
  verify: simple('verify', (draft, verify) => {
    draft.verify = verify
  }),
  cert: simple('cert', (draft, name) => {
    draft.cert = name
  }),
  session: simple('session', (draft, name) => {
    draft.session = name
  }),
  encoding: simple('encoding', (draft, charset) => {
    draft.encoding = charset
  }),
  decode: simple('decode', (draft, decode) => {
    draft.decode = decode
  }),
  idempotencyKey: simple('idempotencyKey', (draft, key) => {
    draft.idempotencyKey = key
  }),
  inspect: simple('inspect', (draft, inspect) => {
    draft.inspect = inspect
  }),
  tags: (draft, node, pointer, faults) => {
    draft.tags = readTags(node, pointer, faults)
  },
  json: (_draft, node, _pointer, _faults, body) => {
    body.json = node as JsonRaw
  },
  data: (_draft, node, _pointer, _faults, body) => {
    body.data = node
  },
  content: (_draft, node, _pointer, _faults, body) => {
    body.content = node
  },
  base64: (_draft, node, _pointer, _faults, body) => {
    body.base64 = node
  },
  files: (_draft, node, _pointer, _faults, body) => {
    body.files = node
  },
}

const NONE: readonly never[] = []
const NO_TIMES: Descriptor['timeout'] = {}
const NO_TAGS: Descriptor['tags'] = {}

const READERS: ReadonlyMap<string, Reader> = new Map(Object.entries(BY_KEY))

/** Throws InvalidDescriptor, InvalidHeader where nothing but headers is wrong, InvalidJSONError for NaN and Infinity. */
export function parseDescriptor(bytes: Buffer): Descriptor {
  const faults = createFaults()
  const root = parseRoot(bytes, { maxDepth: MAX_DEPTH, rawMember: 'json' }, faults)
  const warnings: string[] = []
  const draft = readRoot(root, warnings, faults)
  if (faults.any()) throw faults.toError()
  warnOfShortTimeouts(draft.timeout, warnings)
  return draft
}

/** The JSON object that `bytes` hold. Repeated keys are noted in `faults`; whatever is no JSON object is thrown. */
export function parseRoot(bytes: Buffer, options: ParseJsonOptions, faults: Faults): JsonObject {
  const parsed = parseJson(bytes, options)
  if (!parsed.ok) throw notJson(bytes, parsed)
  for (const { pointer, message } of parsed.doubts) faults.add(pointer, message)
  if (isObject(parsed.value)) return parsed.value
  faults.add('', 'the body must be a JSON object')
  throw faults.toError()
}

function notJson(bytes: Buffer, { at, reason, nonFinite }: JsonFault): GatewayError {
  const message =
    bytes.length === 0 ? 'the body is empty; it must be a JSON object' : `the body is not JSON at byte ${at}: ${reason}`
  return new GatewayError(nonFinite ? 'InvalidJSONError' : 'InvalidDescriptor', message, { detail: [{ pointer: '', message }] })
}

function readRoot(root: JsonObject, warnings: readonly string[], faults: Faults): Draft {
  const draft: Draft = {
    method: 'GET',
    url: '',
    headers: NONE,
    cookies: NONE,
    timeout: NO_TIMES,
    maxRedirects: 30,
    decode: 'auto',
    inspect: false,
    tags: NO_TAGS,
    warnings,
  }
  const keys: BodyKeys = {}
  for (const [name, node] of root.members) {
    if (faults.full()) throw faults.toError()
    const reader = READERS.get(name)
    if (reader === undefined) addUnknown(name, KEYS, '', faults)
    else if (node !== null || name === 'auth') reader(draft, node, `/${name}`, faults, keys)
  }
  if (draft.url === '' && !root.members.some(([name, node]) => name === 'url' && node !== null)) {
    faults.add('/url', 'is missing: it is the one key that every descriptor has')
  }
  const body = readBody(keys, faults)
  if (body !== undefined) draft.body = body
  return draft
}
