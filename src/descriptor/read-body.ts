// The keys that make the body: json, data, content (or base64), files; which of them may stand together.
import type { JsonNode, JsonRaw } from '../json/parse-json.ts'
import type { FilePart, RequestBody } from '../model/descriptor.ts'
import type { Faults } from './faults.ts'
import { headerValueFault, ownHeaderNameFault } from './header-rules.ts'
import { addUnknown, child, isObject } from './read-node.ts'
import { type EachPair, eachPair, MAX_NAMES, readHeaders, readParams, valueAt } from './read-pairs.ts'
import { filePartSchema } from './schema.ts'

/** The body's keys as the descriptor has them; null ones are absent, but for json. */
export interface BodyKeys {
  json?: JsonRaw
  data?: JsonNode
  content?: JsonNode
  base64?: JsonNode
  files?: JsonNode
}

const PART_KEYS: readonly string[] = Object.keys(filePartSchema.shape)
const NOT_BASE64 = 'must be base64 (RFC 4648 §4): padded, without white space'

export function readBody(keys: BodyKeys, faults: Faults): RequestBody | undefined {
  judgeCompany(keys, faults)
  if (keys.files !== undefined) return readMultipart(keys.files, keys.data, faults)
  if (keys.json !== undefined) return { kind: 'json', bytes: keys.json.bytes }
  if (keys.data !== undefined) {
    const data = readParams(keys.data, '/data', faults)
    return typeof data === 'string' ? { kind: 'text', text: data } : { kind: 'form', pairs: data }
  }
  const content = keys.content ?? keys.base64
  if (content === undefined) return undefined
  return { kind: 'raw', bytes: readBase64(content, keys.content === undefined ? '/base64' : '/content', faults) }
}

/** contract: "json, data and content exclude one another; files goes with data alone". */
function judgeCompany(keys: BodyKeys, faults: Faults): void {
  if (Object.keys(keys).length < 2) return
  const content = keys.content === undefined ? 'base64' : 'content'
  const [first, ...others] = (['json', 'data', content] as const).filter((key) => keys[key] !== undefined)
  for (const key of others) faults.add(`/${key}`, `cannot go with ${first}: a request has one body`)
  if (keys.content !== undefined && keys.base64 !== undefined)
    faults.add('/base64', 'is another name for content; give one of them')
  if (keys.files === undefined) return
  if (keys.json !== undefined || keys[content] !== undefined) faults.add('/files', 'goes with data alone')
  if (typeof keys.data === 'string')
    faults.add('/data', 'must be an object or pairs beside files: they become fields of the form')
}

function readMultipart(filesNode: JsonNode, data: JsonNode | undefined, faults: Faults): RequestBody {
  const files: FilePart[] = []
  const each: EachPair = (name, node, step) => {
    const part = node === null ? undefined : readPart(name, node, valueAt('/files', step), faults)
    if (part !== undefined) files.push(part)
  }
  eachPair(filesNode, '/files', faults, each, MAX_NAMES)
  const fields = data === undefined ? [] : readParams(data, '/data', faults)
  return { kind: 'multipart', fields: typeof fields === 'string' ? [] : fields, files }
}

function readPart(name: string, node: JsonNode, pointer: string, faults: Faults): FilePart | undefined {
  if (!isObject(node)) {
    faults.add(pointer, 'must be an object with content (base64) or text')
    return undefined
  }
  const keys = new Map<string, JsonNode>()
  for (const [key, value] of node.members) {
    if (!PART_KEYS.includes(key)) addUnknown(key, PART_KEYS, pointer, faults)
    else if (value !== null || key === 'filename') keys.set(key, value)
  }
  const content = readContent(keys, pointer, faults)
  const contentType = readText(keys, 'contentType', pointer, faults)
  const fault = contentType === undefined ? null : headerValueFault(contentType)
  if (fault !== null) faults.add(`${pointer}/contentType`, fault, 'InvalidHeader')
  const filename = keys.get('filename') === null ? null : (readText(keys, 'filename', pointer, faults) ?? name)
  const part = { name, content, filename, headers: readPartHeaders(keys.get('headers'), child(pointer, 'headers'), faults) }
  return contentType === undefined ? part : { ...part, contentType }
}

function readText(keys: ReadonlyMap<string, JsonNode>, key: string, pointer: string, faults: Faults): string | undefined {
  const node = keys.get(key)
  if (node === undefined || typeof node === 'string') return node
  faults.add(child(pointer, key), 'must be a string')
  return undefined
}

function readContent(keys: ReadonlyMap<string, JsonNode>, pointer: string, faults: Faults): Uint8Array {
  const given = ['content', 'base64', 'text'].filter((key) => keys.has(key))
  const [key] = given
  if (key === undefined || given.length > 1) {
    faults.add(pointer, 'must have exactly one of content (base64) and text')
    return Buffer.alloc(0)
  }
  if (key === 'text') return Buffer.from(readText(keys, key, pointer, faults) ?? '')
  return readBase64(keys.get(key) as JsonNode, child(pointer, key), faults)
}

function readPartHeaders(node: JsonNode | undefined, pointer: string, faults: Faults): [string, string][] {
  if (node === undefined) return []
  return readHeaders(node, pointer, faults, ownHeaderNameFault).filter((pair): pair is [string, string] => pair[1] !== null)
}

/**
 * Node reads base64 leniently; what it left out shows in the length. The alphabet for URLs has the right length too, so its
 * two letters are looked for.
 */
function readBase64(node: JsonNode, pointer: string, faults: Faults): Uint8Array {
  if (typeof node === 'string' && node.length % 4 === 0 && !node.includes('-') && !node.includes('_')) {
    const padding = node.endsWith('==') ? 2 : node.endsWith('=') ? 1 : 0
    const bytes = Buffer.from(node, 'base64')
    if (bytes.length === (node.length / 4) * 3 - padding) return bytes
  }
  faults.add(pointer, NOT_BASE64)
  return Buffer.alloc(0)
}
