// A body as the audit trail records it, where an adapter says so: capped, of listed content types, fields masked, and not at all
// where it holds the credential of the call. JSON keeps its numbers and its order.
import { type JsonNode, parseJson } from '../json/parse-json.ts'
import type { AuditPolicy } from '../model/adapter-policy.ts'
import type { JsonPath, PathStep } from '../model/json-path.ts'
import { MASK } from '../model/outgoing-view.ts'
import type { RecordedBody } from '../model/ports.ts'
import type { HoldsSecret } from '../model/secret-traces.ts'
import { parseMediaType } from './media-type.ts'

/** What is read in order to mask fields; a longer body is not recorded then. */
const READ_MAX = 1024 * 1024
const DEPTH_MAX = 64
const LONGEST_SECRET = 64 * 1024

export interface BodyToRecord {
  readonly bytes: Uint8Array | null
  readonly contentType: string | undefined
  /** null: no credential was attached. */
  readonly holdsSecret: HoldsSecret | null
}

/** null: there was none. */
export function recordBody({ bytes, contentType, holdsSecret }: BodyToRecord, rules: AuditPolicy): RecordedBody | null {
  if (bytes === null || bytes.length === 0) return null
  const omitted = (because: string): RecordedBody => ({ bytes: bytes.length, omitted: because })
  const type = (contentType ?? '').split(';')[0]?.trim().toLowerCase() ?? ''
  if (!rules.contentTypes.some((pattern) => matchesType(type, pattern))) return omitted(`content type ${type || 'none'}`)
  const body = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const masking = rules.redact.length > 0 && parseMediaType(contentType).kind === 'json'
  const shown = masking ? masked(body, rules.redact) : body
  if (!Buffer.isBuffer(shown)) return omitted(shown.because)
  const isCut = shown.length > rules.bodyBytes
  const text = shown.toString('utf8', 0, rules.bodyBytes)
  if (text.includes('\0')) return omitted('it is not text')
  if (holdsSecret && hasTrace(shown.subarray(0, rules.bodyBytes + LONGEST_SECRET), holdsSecret))
    return omitted('it holds the credential')
  // No half character at the end.
  return { bytes: bytes.length, text: isCut ? text.replace(/\ufffd$/, '') : text, ...(isCut ? { cut: true } : {}) }
}

/** One that the cut goes through is found too. */
const hasTrace = (shown: Buffer, holdsSecret: HoldsSecret): boolean =>
  holdsSecret(shown.toString('utf8')) || holdsSecret(shown.toString('latin1'))

/** `text/*`, `application/json`, `application/*+json`; lower case. */
function matchesType(type: string, pattern: string): boolean {
  const star = pattern.indexOf('*')
  if (star < 0) return type === pattern
  const [front, back] = [pattern.slice(0, star), pattern.slice(star + 1)]
  return type.length >= front.length + back.length && type.startsWith(front) && type.endsWith(back)
}

function masked(body: Buffer, paths: readonly JsonPath[]): Buffer | { readonly because: string } {
  if (body.length > READ_MAX) return { because: 'too large to mask fields in' }
  const parsed = parseJson(body, { maxDepth: DEPTH_MAX, rawMember: '' })
  if (!parsed.ok) return { because: 'no JSON to mask fields in' }
  let value = parsed.value
  for (const path of paths) value = maskAt(value, path)
  return Buffer.from(writeJson(value))
}

function maskAt(node: JsonNode, path: JsonPath): JsonNode {
  const [step, ...rest] = path
  if (!step) return MASK
  const below = step.deep
    ? mapChildren(
        node,
        () => true,
        (child) => maskAt(child, path),
      )
    : node
  return mapChildren(
    below,
    (key, count) => selects(step, key, count),
    (child) => maskAt(child, rest),
  )
}

function selects({ name }: PathStep, key: string | number, count: number): boolean {
  if (name === null) return true
  return typeof name === 'number' && name < 0 ? key === count + name : key === name
}

function mapChildren(
  node: JsonNode,
  chosen: (key: string | number, count: number) => boolean,
  map: (child: JsonNode) => JsonNode,
): JsonNode {
  if (Array.isArray(node)) return node.map((child, at) => (chosen(at, node.length) ? map(child) : child))
  if (!isObject(node)) return node
  return { kind: 'object', members: node.members.map(([name, child]) => [name, chosen(name, 0) ? map(child) : child] as const) }
}

const isObject = (node: JsonNode): node is Extract<JsonNode, { kind: 'object' }> =>
  typeof node === 'object' && node !== null && 'kind' in node && node.kind === 'object'

function writeJson(node: JsonNode): string {
  if (node === null || typeof node !== 'object') return JSON.stringify(node)
  if (!('kind' in node)) return `[${node.map(writeJson).join(',')}]`
  if (node.kind === 'number') return node.text
  // Was not looked into.
  if (node.kind === 'raw') return JSON.stringify(MASK)
  return `{${node.members.map(([name, value]) => `${JSON.stringify(name)}:${writeJson(value)}`).join(',')}}`
}
