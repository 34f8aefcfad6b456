// The steps that all readers share: a value held against its schema, an object's members held against the known names.
import { closest } from 'fastest-levenshtein'
import type { z } from 'zod'
import { type JsonNode, type JsonObject, jsonPointer } from '../json/parse-json.ts'
import type { Faults } from './faults.ts'

/** Longest list that a schema is asked about; no key that has one needs more. */
const MAX_LIST = 1000
/** Of an unknown name, what is shown and compared. */
const NAME_SHOWN = 64

export function isObject(node: JsonNode): node is JsonObject {
  return typeof node === 'object' && node !== null && 'kind' in node && node.kind === 'object'
}

export function isList(node: JsonNode): node is readonly JsonNode[] {
  return Array.isArray(node)
}

export function child(pointer: string, step: string | number): string {
  return pointer + jsonPointer([step])
}

/** The value that `schema` makes of `node`, or undefined after the faults were noted. For scalars and short lists of them. */
export function readValue<T>(schema: z.ZodType<T>, node: JsonNode, pointer: string, faults: Faults): T | undefined {
  if (isList(node) && node.length > MAX_LIST) {
    faults.add(pointer, `must not hold more than ${MAX_LIST} values`)
    return undefined
  }
  const result = schema.safeParse(plain(node))
  if (result.success) return result.data
  for (const issue of result.error.issues) faults.add(pointer + jsonPointer(issue.path.map(String)), issue.message)
  return undefined
}

/** As JSON.parse has it. What no such schema takes becomes an empty object, which none of them takes. */
function plain(node: JsonNode): unknown {
  if (node === null || typeof node !== 'object') return node
  if (isList(node)) return node.map(plain)
  return 'kind' in node && node.kind === 'number' ? Number(node.text) : {}
}

/** The object's members as `schema` makes them, without those that are null; undefined where it is no object. */
export function readRecord<S extends z.ZodObject>(
  schema: S,
  node: JsonNode,
  pointer: string,
  faults: Faults,
): Partial<z.output<S>> | undefined {
  if (!isObject(node)) {
    faults.add(pointer, 'must be an object')
    return undefined
  }
  const { shape } = schema
  const record: Record<string, unknown> = {}
  for (const [name, member] of node.members) {
    const own = Object.hasOwn(shape, name) ? (shape[name] as z.ZodType) : undefined
    if (own === undefined) addUnknown(name, Object.keys(shape), pointer, faults)
    else if (member !== null) {
      const value = readValue(own, member, `${pointer}/${name}`, faults)
      if (value !== undefined) record[name] = value
    }
  }
  return record as Partial<z.output<S>>
}

export function addUnknown(name: string, known: readonly string[], pointer: string, faults: Faults): void {
  if (faults.full()) return
  const shown = name.slice(0, NAME_SHOWN)
  faults.add(child(pointer, name), `unknown key ${JSON.stringify(shown)}; the nearest known one is "${closest(shown, known)}"`)
}
