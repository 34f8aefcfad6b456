// sallyport keys generate: a line for the key file. Nothing else is ever told about it.
import { randomBytes } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { CliError, type CliPorts } from './ports.ts'

interface GenerateOptions {
  readonly output?: string
  readonly json?: boolean
}

export function addKeyCommands(program: Command, ports: CliPorts): void {
  program
    .command('keys')
    .description('keys that seal the secrets')
    .command('generate')
    .description('make a sealing key, as a line for the key file; put it first there to make it the active one')
    .option('--output <file>', 'write it to a new file that its owner alone can read')
    .option('--json', 'answer in JSON')
    .action((options: GenerateOptions) => generate(options, ports))
}

async function generate({ output, json }: GenerateOptions, { stdout }: CliPorts): Promise<void> {
  const id = `k-${randomBytes(4).toString('hex')}`
  const line = `${id}:${randomBytes(32).toString('base64')}`
  if (output === undefined) {
    stdout.write(`${json ? JSON.stringify({ id, line }) : line}\n`)
    return
  }
  try {
    await writeFile(output, `${line}\n`, { flag: 'wx', mode: 0o600 })
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new CliError(
      code === 'EEXIST' ? `${output} exists; add a key to it by hand` : `cannot write ${output} (${code ?? 'unknown error'})`,
    )
  }
  stdout.write(`${json ? JSON.stringify({ id, file: output }) : `key ${id} is in ${output}`}\n`)
}
