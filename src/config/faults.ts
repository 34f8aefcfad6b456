// What is wrong with a configuration, each fault with its place and what to write instead, all of them in one report.
import type { z } from 'zod'
import { nearest } from './fields.ts'

export type KeyPath = readonly (string | number)[]

export interface Place {
  readonly file: string
  /** From 1. */
  readonly line: number
  /** From 1. */
  readonly column: number
  /** As in `adapters[0].timeout.read`; empty: the file as such. */
  readonly key: string
}

export interface Fault extends Place {
  readonly message: string
}

/** A fault before it is known where its key stands. */
export interface Objection {
  readonly path: KeyPath
  /** Continues a sentence that begins with the key: "must be a whole number from 1 to 9". */
  readonly message: string
  /** Points at the key itself rather than at its value. */
  readonly at?: 'key'
  /** The key to point at where `path` is not in the file, since its built-in value is what it is about. */
  readonly or?: KeyPath
}

/** One slip in a large file can make thousands. */
const MOST_SHOWN = 50

/** The configuration cannot be used. The message is the whole report, ready to be shown. */
export class ConfigError extends Error {
  readonly faults: readonly Fault[]

  constructor(faults: readonly Fault[]) {
    super(report(faults))
    this.name = 'ConfigError'
    this.faults = faults
  }
}

function report(faults: readonly Fault[]): string {
  const head = faults.length === 1 ? 'The configuration has a fault:' : `The configuration has ${faults.length} faults:`
  const lines = faults
    .slice(0, MOST_SHOWN)
    .map((fault) => `  ${fault.file}:${fault.line}:${fault.column}\n    ${sentence(fault)}`)
  const rest = faults.length > MOST_SHOWN ? [`  and ${faults.length - MOST_SHOWN} more`] : []
  return [head, ...lines, ...rest].join('\n')
}

function sentence({ key, message }: Fault): string {
  return key === '' ? message : `${key} ${message}`
}

export function writePath(path: KeyPath): string {
  let text = ''
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else if (/^[\w-]+$/.test(part)) text += text === '' ? part : `.${part}`
    else text += `[${JSON.stringify(part)}]`
  }
  return text
}

/** zod's issues as objections, one for each unknown key. `path` is what stands before the issues' own paths. */
export function objectionsOf(issues: readonly z.core.$ZodIssue[], path: KeyPath = []): Objection[] {
  return issues.flatMap((issue): Objection[] => {
    const here = [...path, ...issue.path.map((part) => (typeof part === 'symbol' ? String(part) : part))]
    if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey([...here, key], key, issue.message))
    if (issue.code === 'invalid_key') return [{ path: here, message: issue.issues[0]?.message ?? issue.message, at: 'key' }]
    if (issue.code === 'invalid_union') return branchObjections(issue, here)
    return [{ path: here, message: issue.message }]
  })
}

/** `known` is how section() in fields.ts says which keys there are. */
function unknownKey(path: KeyPath, key: string, known: string): Objection {
  const keys = known.split(' ')
  const near = nearest(key, keys)
  return {
    path,
    message: near ? `is an unknown key; did you mean ${near}?` : `is an unknown key; known: ${keys.join(', ')}`,
    at: 'key',
  }
}

/** Of the alternatives the one that was meant: a fault further inside shows that the outer form was right. */
function branchObjections(issue: z.core.$ZodIssueInvalidUnion, path: KeyPath): Objection[] {
  const branches = issue.errors.map((errors) => objectionsOf(errors, path))
  const inside = branches.find((objections) => objections.length > 0 && objections.every((one) => one.path.length > path.length))
  if (inside) return inside
  const messages = [...new Set(branches.flat().map(({ message }) => message))]
  const [first = issue.message, ...others] = messages
  return [{ path, message: [first, ...others.map((message) => message.replace(/^must be /, ''))].join(', or ') }]
}
