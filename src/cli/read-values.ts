// A secret's values as a person gives them: answers at a terminal, or JSON or key=value lines from standard input or a file.
// Never from arguments, which other users of the machine can read.
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { Writable } from 'node:stream'
import { text } from 'node:stream/consumers'
import type { Scheme } from '../credentials/scheme.ts'
import { CliError, type CliPorts } from './ports.ts'

/** What to ask for, in order, and what of it may be left out. */
type Fields = Pick<Scheme, 'fields' | 'optional'>

type Values = Record<string, string>

/** At least one set; more are a pool. `file`: '-' is standard input; null: questions at a terminal, else standard input. */
export async function readValues(file: string | null, scheme: Fields, ports: CliPorts): Promise<Values[]> {
  if (file !== null && file !== '-') return parseValues(await readText(file))
  if (file === null && ports.stdin.isTTY) return [await ask(scheme, ports)]
  return parseValues(await text(ports.stdin))
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    throw new CliError(`cannot read ${file} (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`)
  }
}

/** A JSON object of strings, or a list of them, where it begins as one; else `key=value` lines, the value up to the line's end. */
export function parseValues(given: string): Values[] {
  if (/^\s*[{[]/.test(given)) return parseJson(given)
  const lines = given.split(/\r?\n/).filter((line) => line.trim() !== '')
  const pairs = lines.map((line, index) => {
    const equals = line.indexOf('=')
    if (equals < 1) throw new CliError(`values, line ${index + 1}: write key=value, or give a JSON object`)
    return [line.slice(0, equals).trim(), line.slice(equals + 1)]
  })
  return [Object.fromEntries(pairs)]
}

function parseJson(given: string): Values[] {
  let parsed: unknown
  try {
    parsed = JSON.parse(given)
  } catch {
    // The parser's own message would show a piece of the text.
    throw new CliError('values: this begins as JSON but is none')
  }
  if (!Array.isArray(parsed)) return [checkObject(parsed, 'values')]
  if (parsed.length < 2) throw new CliError('values: a list is a pool, and wants at least two sets of values')
  return parsed.map((each, index) => checkObject(each, `values[${index}]`))
}

function checkObject(given: unknown, where: string): Values {
  if (typeof given !== 'object' || given === null) throw new CliError(`${where} must be an object`)
  const entries = Object.entries(given)
  const odd = entries.find(([, value]) => typeof value !== 'string')
  if (odd) throw new CliError(`${where}: "${odd[0]}" must be a string`)
  return Object.fromEntries(entries) as Values
}

/** Nothing that is typed is shown. */
async function ask({ fields, optional }: Fields, { stdin, stderr }: CliPorts): Promise<Values> {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: stdin, output: nowhere, terminal: true })
  const answers = lines[Symbol.asyncIterator]()
  let entered = 0
  lines.on('line', () => entered++)
  const values: Values = {}
  try {
    for (const field of fields) {
      stderr.write(`${field} (${optional.has(field) ? 'optional, ' : ''}not shown): `)
      const { value, done } = await answers.next()
      stderr.write('\n')
      if (done) throw new CliError(`no ${field} was entered; nothing was stored`)
      if (value !== '' || !optional.has(field)) values[field] = value
    }
    // A value pasted with line ends would be stored cut off at the first.
    if (entered > fields.length)
      throw new CliError(
        'more lines came than were asked for; nothing was stored. Give a value of several lines as JSON with --values',
      )
    return values
  } finally {
    lines.close()
  }
}
