// The command line: the gateway itself, calls through one, its configuration, secrets, callers and keys. Its sub-commands live in
// files of their own; how a configuration becomes a gateway or stores is given by whoever calls it.
import { Command, CommanderError, InvalidArgumentError } from 'commander'
import { AlreadyTold, CliError, type CliPorts } from './ports.ts'

/** `argv` without node and script. Answers the exit code: 0, 1 where it failed, 2 where it was not understood. Never rejects. */
export async function runCli(argv: readonly string[], ports: CliPorts): Promise<number> {
  const program = new Command('sallyport')
    .description(
      'A resilient outbound-HTTP gateway: starts it, calls through it, explains its configuration, keeps its secrets, searches its audit trail.',
    )
    .exitOverride()
    .configureOutput({ writeOut: (text) => ports.stdout.write(text), writeErr: (text) => ports.stderr.write(text) })
  program
    .command('serve', { isDefault: true })
    .description('start the gateway (the default)')
    .option('--config <file>', 'the configuration file (default: SALLYPORT_CONFIG, else the built-in sample)')
    .option('--workers <n>', 'processes that serve, or auto: one a core (default: workers of the configuration, 1)', readWorkers)
    .action(({ config, workers }: { config?: string; workers?: number | 'auto' }) => ports.serve(config ?? null, workers ?? null))
  // `serve`, said or not, loads nothing of the others: a gateway starts the sooner.
  if (!serves(argv)) (await import('./commands.ts')).addCommands(program, ports)
  try {
    await program.parseAsync([...argv], { from: 'user' })
    return 0
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? 0 : 2
    if (error instanceof AlreadyTold) return error.exitCode
    ports.stderr.write(`sallyport: ${error instanceof Error ? error.message : 'unexpected fault'}\n`)
    return error instanceof CliError ? error.exitCode : 1
  }
}

/** `--help` without a command is about all of them. */
function serves([first = 'serve', ...rest]: readonly string[]): boolean {
  return first === 'serve' || (/^--(?:config|workers)\b/.test(first) && !rest.some((word) => word === '--help' || word === '-h'))
}

function readWorkers(text: string): number | 'auto' {
  if (text === 'auto') return text
  if (!/^[1-9]\d?$/.test(text) || Number(text) > 64) throw new InvalidArgumentError('a number from 1 to 64, or auto')
  return Number(text)
}
