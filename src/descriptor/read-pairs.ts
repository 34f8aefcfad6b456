// Names and values: params, data, headers, cookies, tags. Objects and lists of pairs alike become pairs in the order of the
// text. Work and faults are bounded: what is too long to be right is not read to its end.
import type { JsonNode } from '../json/parse-json.ts'
import type { Pairs } from '../model/descriptor.ts'
import type { Faults } from './faults.ts'
import { cookieNameFault, headerNameFault, headerValueFault } from './header-rules.ts'
import { child, isList, isObject } from './read-node.ts'
import { MAX_TAG_LENGTH, MAX_TAGS } from './schema.ts'

/** `step`: the name, or the pair's index in a list of pairs. */
export type EachPair = (name: string, value: JsonNode, step: string | number) => void

/** No server takes as many headers, cookies or files; reading more would only take time. */
export const MAX_NAMES = 1000

/** Calls `each` with every well-formed pair until there are faults enough. More than `max` pairs are a fault. */
export function eachPair(node: JsonNode, pointer: string, faults: Faults, each: EachPair, max = Number.POSITIVE_INFINITY): void {
  const record = isObject(node)
  if (!record && !isList(node)) {
    faults.add(pointer, 'must be an object or a list of [name, value] pairs')
    return
  }
  const count = record ? node.members.length : node.length
  if (count > max) {
    faults.add(pointer, `must not hold more than ${max} names`)
    return
  }
  if (record) {
    for (const [name, value] of node.members) {
      if (faults.full()) return
      each(name, value, name)
    }
    return
  }
  for (let index = 0; index < node.length && !faults.full(); index++) {
    const pair = node[index] as JsonNode
    if (isList(pair) && pair.length === 2 && typeof pair[0] === 'string') each(pair[0], pair[1] as JsonNode, index)
    else faults.add(child(pointer, index), 'must be a pair [name, value], the name a string')
  }
}

/** Where the value of a pair stands: in a list of pairs one step further down. */
export function valueAt(pointer: string, step: string | number): string {
  return typeof step === 'string' ? child(pointer, step) : child(child(pointer, step), 1)
}

/** As it will be written; null for null and for an empty list; undefined for what is no scalar. */
function scalarText(node: JsonNode): string | null | undefined {
  if (node === null || typeof node === 'string') return node
  if (typeof node === 'boolean') return String(node)
  return 'kind' in node && node.kind === 'number' ? node.text : undefined
}

/** An object or pairs of scalars, or a string. null stays a null value, which encoding drops and merging minds. */
export function readParams(node: JsonNode, pointer: string, faults: Faults): Pairs | string {
  if (typeof node === 'string') return node
  const pairs: [string, string | null][] = []
  eachPair(node, pointer, faults, (name, value, step) => {
    const text = scalarText(value)
    if (text !== undefined) pairs.push([name, text])
    else if (typeof step === 'string' && isList(value as JsonNode))
      readRepeated(name, value as readonly JsonNode[], pairs, pointer, faults)
    else
      faults.add(
        valueAt(pointer, step),
        `must be a string, a number, true, false${typeof step === 'string' ? ', a list of these' : ''} or null`,
      )
  })
  return pairs
}

/** Requests repeats the name for each value; of an empty list nothing is sent, as of null. */
function readRepeated(
  name: string,
  values: readonly JsonNode[],
  pairs: [string, string | null][],
  pointer: string,
  faults: Faults,
): void {
  if (values.length === 0) pairs.push([name, null])
  for (let index = 0; index < values.length && !faults.full(); index++) {
    const text = scalarText(values[index] as JsonNode)
    if (text === undefined) faults.add(child(child(pointer, name), index), 'must be a string, a number, true or false')
    else pairs.push([name, text])
  }
}

/** Every name and value judged; null values stay. `nameFault` is the rule for the names. */
export function readHeaders(
  node: JsonNode,
  pointer: string,
  faults: Faults,
  nameFault: (name: string) => string | null = headerNameFault,
): [string, string | null][] {
  const pairs: [string, string | null][] = []
  const cases = new Map<string, string>()
  const each: EachPair = (name, value, step) => {
    const fault = nameFault(name) ?? caseFault(cases, name)
    if (fault !== null) faults.add(child(pointer, step), fault, 'InvalidHeader')
    if (value !== null && typeof value !== 'string') {
      faults.add(valueAt(pointer, step), 'must be a string or null')
      return
    }
    const valueFault = value === null ? null : headerValueFault(value)
    if (valueFault !== null) faults.add(valueAt(pointer, step), valueFault, 'InvalidHeader')
    pairs.push([name, value])
  }
  eachPair(node, pointer, faults, each, MAX_NAMES)
  return pairs
}

/** A name that comes again must come in the same case. `cases`: each name so far, by its lower case. */
function caseFault(cases: Map<string, string>, name: string): string | null {
  const lower = name.toLowerCase()
  const earlier = cases.get(lower)
  if (earlier === undefined) cases.set(lower, name)
  return earlier === undefined || earlier === name ? null : 'is given twice, in different case; write it in one'
}

/** Names are compared as they are (RFC 6265 §4.2.1: tokens, in their case). null: no such cookie. */
export function readCookies(node: JsonNode, pointer: string, faults: Faults): [string, string][] {
  const cookies: [string, string][] = []
  eachString(node, pointer, faults, (name, value) => {
    const fault = cookieNameFault(name) ?? headerValueFault(value)
    if (fault !== null) faults.add(child(pointer, name), fault, 'InvalidHeader')
    cookies.push([name, value])
  })
  return cookies
}

export function readTags(node: JsonNode, pointer: string, faults: Faults): Readonly<Record<string, string>> {
  const tags: [string, string][] = []
  eachString(node, pointer, faults, (name, value) => {
    tags.push([name, value])
    if (tags.length === MAX_TAGS + 1) faults.add(pointer, `must not hold more than ${MAX_TAGS} tags`)
    if (name.length > MAX_TAG_LENGTH || value.length > MAX_TAG_LENGTH) {
      faults.add(child(pointer, name), `must not be longer than ${MAX_TAG_LENGTH} characters, name and value each`)
    }
  })
  return Object.fromEntries(tags)
}

/** An object of strings, without those that are null. */
function eachString(node: JsonNode, pointer: string, faults: Faults, each: (name: string, value: string) => void): void {
  if (!isObject(node)) {
    faults.add(pointer, 'must be an object of strings')
    return
  }
  if (node.members.length > MAX_NAMES) {
    faults.add(pointer, `must not hold more than ${MAX_NAMES} names`)
    return
  }
  for (const [name, value] of node.members) {
    if (faults.full()) return
    if (typeof value === 'string') each(name, value)
    else if (value !== null) faults.add(child(pointer, name), 'must be a string')
  }
}
