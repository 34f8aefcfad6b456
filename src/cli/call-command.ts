// sallyport call: a request as one types it, through a running gateway, in the manner of HTTPie. A client like any other: it
// knows the wire contract and no more.
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { type Command, InvalidArgumentError } from 'commander'
import { parseCallItems } from './call-items.ts'
import { gather } from './gather.ts'
import { AlreadyTold, CliError, type CliPorts } from './ports.ts'
import { postDescriptor } from './post-descriptor.ts'
import { answerText, bodyBytes, envelopeText, remarks } from './show-answer.ts'
import { type CallWishes, writeDescriptor } from './write-descriptor.ts'

interface CallOptions {
  readonly form?: boolean
  readonly file?: readonly string[]
  readonly gateway: string
  readonly keyFile?: string
  readonly timeout?: string
  readonly retries?: number
  readonly envelope?: boolean
}

const ITEMS = `
Items:
  Header:Value      a header; "Header:" alone removes one
  param==value      a parameter of the URL
  field=value       a text field of the body: JSON, or a form with --form or --file
  field:=json       a JSON field: a number, true, a list
A colon or an equals sign in a name is written \\: or \\=. Without METHOD: POST with a body, else GET.
The caller's key comes from --key-file or SALLYPORT_KEY, never from an argument.
Exit code: 0 an answer below 400, 1 any other answer or none, 2 not understood.`

export function addCallCommand(program: Command, ports: CliPorts): void {
  program
    .command('call')
    .usage('[METHOD] URL [item...] [options]')
    .description('make a call through a running gateway')
    .argument('<words...>', '[METHOD] URL and items, see below')
    .option('--form', 'send the fields as a form')
    .option('--file <name=@path>', 'send a file, multipart; may be repeated', gather)
    .option('--gateway <url>', 'where the gateway listens', 'http://127.0.0.1:8080')
    .option('--key-file <file>', 'a file that holds the key of the caller (default: SALLYPORT_KEY)')
    .option('--timeout <duration>', "to connect, and of silence, each: 3.05s, 2m (default: the adapter's)")
    .option('--retries <n>', "more tries after the first (default: the adapter's)", wholeNumber)
    .option('--envelope', 'print the whole envelope as JSON')
    .addHelpText('after', ITEMS)
    .action((words: string[], options: CallOptions) => call(words, options, ports))
}

function wholeNumber(given: string): number {
  if (!/^\d{1,6}$/.test(given)) throw new InvalidArgumentError('It must be a whole number; 0 is none.')
  return Number(given)
}

async function call(words: readonly string[], options: CallOptions, ports: CliPorts): Promise<void> {
  const { stdout, stderr } = ports
  const files = await Promise.all((options.file ?? []).map(readPart))
  const envelope = options.envelope ?? false
  const wishes: CallWishes = { form: options.form ?? false, files, timeout: options.timeout, retries: options.retries, envelope }
  const descriptor = writeDescriptor(parseCallItems(words, { hasFiles: files.length > 0 }), wishes)
  const key = await readKey(options, ports)
  const answer = await postDescriptor(descriptor, { gateway: options.gateway, key })
  // Whoever reads it may have had enough before the end.
  stdout.on('error', () => {})
  if (envelope) stdout.write(`${stdout.isTTY ? envelopeText(answer.raw) : answer.raw}\n`)
  else stdout.write(stdout.isTTY ? answerText(answer.envelope) : bodyBytes(answer.envelope))
  if (!envelope) for (const line of remarks(answer.envelope)) stderr.write(`${line}\n`)
  if (!answer.envelope.ok) throw new AlreadyTold()
}

async function readPart(given: string): Promise<CallWishes['files'][number]> {
  const [, name, path] = /^([^=]+)=@(.+)$/s.exec(given) ?? []
  if (name === undefined || path === undefined) throw new CliError('--file is written name=@path', 2)
  return { name, filename: basename(path), content: await read(path) }
}

/** null: none was given. It never stands in a message. */
async function readKey({ keyFile }: CallOptions, { env }: CliPorts): Promise<string | null> {
  const source = keyFile ?? 'SALLYPORT_KEY'
  const key = (keyFile === undefined ? env.SALLYPORT_KEY : (await read(keyFile)).toString())?.trim()
  if (key === undefined || (key === '' && keyFile === undefined)) return null
  if (!/^[\x21-\x7e]+$/.test(key))
    throw new CliError(`${source} must hold one key, of visible ASCII characters, and nothing else`)
  return key
}

async function read(path: string): Promise<Buffer> {
  try {
    return await readFile(path)
  } catch (error) {
    throw new CliError(`cannot read ${path} (${(error as NodeJS.ErrnoException).code ?? 'unknown error'})`)
  }
}
