// A body or a query of the admin entrance → what its schema makes of it. As strict as a descriptor: unknown and repeated keys are
// refused, every fault is told with its pointer, and no value is ever repeated in one.
import type { z } from 'zod'
import { type JsonNode, type JsonObject, jsonPointer } from '../json/parse-json.ts'
import { createFaults, type Faults } from './faults.ts'
import { MAX_DEPTH, parseRoot } from './parse-descriptor.ts'
import { addUnknown, isList } from './read-node.ts'

const EMPTY = Buffer.from('{}')

/** Throws InvalidDescriptor, or InvalidJSONError for NaN and Infinity. */
export function readAdminBody<T>(schema: z.ZodType<T>, bytes: Buffer): T {
  const faults = createFaults()
  const root = parseRoot(bytes.length === 0 ? EMPTY : bytes, { maxDepth: MAX_DEPTH, rawMember: '' }, faults)
  return judge(schema, plainObject(root), faults)
}

/** The query's text, without its question mark. A name may come once, or as often as its list is long. */
export function readAdminQuery<T>(schema: z.ZodType<T>, query: string): T {
  const faults = createFaults()
  const given: Record<string, unknown> = {}
  for (const [name, value] of new URLSearchParams(query)) {
    const before = Object.hasOwn(given, name) ? given[name] : undefined
    if (takesList(schema, name)) define(given, name, [...((before as string[] | undefined) ?? []), value])
    else define(given, name, value)
    if (before !== undefined && !takesList(schema, name)) faults.add(jsonPointer([name]), 'is given twice')
  }
  return judge(schema, given, faults)
}

function shapeOf(schema: z.ZodType): Readonly<Record<string, z.ZodType>> {
  return 'shape' in schema ? (schema.shape as Readonly<Record<string, z.ZodType>>) : {}
}

function takesList(schema: z.ZodType, name: string): boolean {
  const shape = shapeOf(schema)
  return Object.hasOwn(shape, name) && (shape[name]?.safeParse([]).success ?? false)
}

function judge<T>(schema: z.ZodType<T>, given: Record<string, unknown>, faults: Faults): T {
  const shape = shapeOf(schema)
  for (const [name, value] of Object.entries(given))
    if (value === null && Object.hasOwn(shape, name) && !takesNull(shape[name])) delete given[name]
  const outcome = schema.safeParse(given)
  for (const issue of outcome.error?.issues ?? []) note(issue, given, Object.keys(shape), faults)
  if (outcome.success && !faults.any()) return outcome.data
  throw faults.toError()
}

/** null is the same as an absent key wherever it has no meaning of its own. */
function takesNull(schema: z.ZodType | undefined): boolean {
  return schema?.safeParse(null).success ?? false
}

function note(issue: z.core.$ZodIssue, given: unknown, known: readonly string[], faults: Faults): void {
  const pointer = jsonPointer(issue.path.map(String))
  if (issue.code !== 'unrecognized_keys') faults.add(pointer, isThere(given, issue.path) ? issue.message : 'is missing')
  else if (issue.path.length === 0 && known.length > 0) for (const key of issue.keys) addUnknown(key, known, pointer, faults)
  else for (const key of issue.keys) faults.add(pointer + jsonPointer([key]), 'is an unknown key')
}

function isThere(given: unknown, path: readonly PropertyKey[]): boolean {
  let at = given
  for (const step of path) at = (at as Record<PropertyKey, unknown> | null | undefined)?.[step]
  return at !== undefined
}

/** As JSON.parse has it. */
function plain(node: JsonNode): unknown {
  if (node === null || typeof node !== 'object') return node
  if (isList(node)) return node.map(plain)
  if (!('kind' in node)) return null
  if (node.kind === 'number') return Number(node.text)
  return node.kind === 'object' ? plainObject(node) : null
}

function plainObject({ members }: JsonObject): Record<string, unknown> {
  const object: Record<string, unknown> = {}
  for (const [name, member] of members) define(object, name, plain(member))
  return object
}

/** `__proto__` is a name like any other. */
function define(object: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(object, name, { value, enumerable: true, writable: true, configurable: true })
}
