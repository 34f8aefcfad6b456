// One YAML file: its value with the environment filled in, and where in the text each key stands.
import {
  type Document,
  isAlias,
  isMap,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseDocument,
  type Scalar,
  visit,
  type YAMLError,
} from 'yaml'
import { expandVariables } from './expand.ts'
import { type Fault, type KeyPath, type Place, writePath } from './faults.ts'

export type Environment = Readonly<Record<string, string | undefined>>

export interface Source {
  /** undefined: the text is no YAML, and `faults` says why. Where a variable is unset, its reference still stands. */
  readonly value: unknown
  readonly faults: readonly Fault[]
  has(path: KeyPath): boolean
  /** Where a key's value stands, or the key itself; of a key that is not there, the nearest key around it. */
  locate(path: KeyPath, at?: 'key'): Place
}

/** Aliases are for a few shared fragments; more are a bomb. */
const MAX_ALIASES = 100

/** What follows the first errors of a text that is not YAML says little. */
const MOST_ERRORS = 10

/** A file that could not even be read. */
export function brokenSource(file: string, message: string): Source {
  const start = { file, line: 1, column: 1, key: '' }
  return { value: undefined, faults: [{ ...start, message }], has: () => false, locate: () => start }
}

export function parseSource(file: string, text: string, env: Environment): Source {
  const lines = new LineCounter()
  const place = (offset: number, path: KeyPath): Place => {
    const { line, col } = lines.linePos(offset)
    return { file, line: Math.max(1, line), column: Math.max(1, col), key: writePath(path) }
  }
  const document = parseYaml(text, lines)
  if (document === null) return brokenSource(file, TOO_DEEP)
  const locate = (path: KeyPath, at?: 'key'): Place => place(find(document, path, at).offset, path)
  const has = (path: KeyPath): boolean => find(document, path, undefined).found
  const syntax = [...document.errors, ...document.warnings].slice(0, MOST_ERRORS).map((error) => ({
    ...place(error.pos[0], []),
    message: yamlFault(error, text),
  }))
  if (syntax.length > 0) return { value: undefined, faults: syntax, has, locate }
  const unset = expandDocument(document, env).map(({ offset, path, message }) => ({ ...place(offset, path), message }))
  const value = readValue(document)
  if (value === undefined) return brokenSource(file, `The file uses more than ${MAX_ALIASES} aliases; write the fragments out.`)
  return { value, faults: unset, has, locate }
}

const TOO_DEEP = 'The file is nested too deeply.'

/** null: nested deeper than the parser's stack. */
function parseYaml(text: string, lineCounter: LineCounter): Document | null {
  try {
    return parseDocument(text, { lineCounter, prettyErrors: false, version: '1.2' })
  } catch (error) {
    if (error instanceof RangeError) return null
    throw error
  }
}

/** An empty file is an empty mapping. undefined: a bomb. */
function readValue(document: Document): unknown {
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES }) ?? {}
  } catch (error) {
    if (error instanceof ReferenceError || error instanceof RangeError) return undefined
    throw error
  }
}

function yamlFault(error: YAMLError, text: string): string {
  if (error.message.startsWith('Maximum call stack')) return TOO_DEEP
  if (error.code === 'DUPLICATE_KEY') {
    const key = /^[^\s:]{1,64}/.exec(text.slice(error.pos[0], error.pos[0] + 80))?.[0] ?? 'A key'
    return `${key} stands twice in this mapping; keep one of the two.`
  }
  if (error.code === 'TAG_RESOLVE_FAILED') return 'A tag (!…) is not known here; write plain YAML.'
  return `This is not YAML: ${error.message.split('\n')[0]}.`
}

interface ExpansionFault {
  readonly offset: number
  readonly path: KeyPath
  readonly message: string
}

/** Fills variables into the document's values, in place. Keys are left as they are. */
function expandDocument(document: Document, env: Environment): ExpansionFault[] {
  const faults: ExpansionFault[] = []
  visit(document, {
    Scalar(key, node: Scalar, ancestors) {
      if (key === 'key' || typeof node.value !== 'string') return
      const expansion = expandVariables(node.value, env)
      if (expansion.ok) node.value = expansion.text
      else faults.push({ offset: node.range?.[0] ?? 0, path: pathOf([...ancestors, node]), message: expansion.fault })
    },
  })
  return faults
}

function pathOf(line: readonly unknown[]): KeyPath {
  return line.flatMap((node, index): KeyPath => {
    if (isPair(node)) return [String(isScalar(node.key) ? node.key.value : node.key)]
    const parent = line[index - 1]
    return isSeq(parent) ? [parent.items.indexOf(node)] : []
  })
}

function find(document: Document, path: KeyPath, at: 'key' | undefined): { offset: number; found: boolean } {
  let node: Node | null | undefined = document.contents
  let offset = 0
  for (const [index, segment] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document)
    if (isSeq(node)) {
      node = node.items[Number(segment)] as Node | undefined
      offset = node?.range?.[0] ?? offset
      continue
    }
    const pair = isMap(node) ? node.items.find(({ key }) => isScalar(key) && String(key.value) === String(segment)) : undefined
    if (!pair) return { offset, found: false }
    offset = (pair.key as Node).range?.[0] ?? offset
    if (at === 'key' && index === path.length - 1) return { offset, found: true }
    node = pair.value as Node | null
  }
  return { offset: node?.range?.[0] ?? offset, found: node !== undefined }
}
