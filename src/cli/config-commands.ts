// sallyport config check, explain: what a configuration says, before and without a gateway that runs on it.
import type { Command } from 'commander'
import type { Config } from '../config/config.ts'
import { ConfigError } from '../config/faults.ts'
import { type LoadedConfig, loadConfig } from '../config/load.ts'
import type { Caller } from '../model/caller.ts'
import { explainCall } from './explain-call.ts'
import { explanationJson, explanationText } from './explanation-text.ts'
import { AlreadyTold, CliError, type CliPorts } from './ports.ts'
import { writeRows } from './write-units.ts'

interface Common {
  readonly config?: string
  readonly json?: boolean
}

interface ExplainOptions extends Common {
  readonly method: string
  readonly caller?: string
}

export function addConfigCommands(program: Command, ports: CliPorts): void {
  const config = program.command('config').description('the configuration: check it, or have it explain a call')
  const common = (command: Command): Command =>
    command.option('--config <file>', 'the configuration file (default: SALLYPORT_CONFIG)').option('--json', 'answer in JSON')

  common(config.command('check'))
    .description('find what is wrong with a file; 0: nothing, 1: it would be refused')
    .action((options: Common) => check(options, ports))
  common(config.command('explain <url>'))
    .description('which adapter, credential and limits a call would have; nothing is sent. 0: it would be sent, 1: refused')
    .option('--method <method>', 'of the call', 'GET')
    .option('--caller <name>', 'judge it for this caller (default: show what each may)')
    .action((url: string, options: ExplainOptions) => explain(url, options, ports))
}

/** Never the sample: a check in a script whose variable is unset must not pass. */
function fileOf({ config }: Common, { env }: CliPorts): string {
  const file = config ?? env.SALLYPORT_CONFIG
  if (!file) {
    const message = 'say which file: --config FILE, or SALLYPORT_CONFIG; that of "npm start" is config/sample.yaml'
    throw new CliError(message, 2)
  }
  return file
}

async function check(options: Common, ports: CliPorts): Promise<void> {
  const file = fileOf(options, ports)
  try {
    const loaded = await loadConfig({ file, env: ports.env })
    const { warnings, config } = loaded
    if (options.json) say(ports, JSON.stringify({ ok: true, file, faults: [], warnings, adapters: config.adapters.map(brief) }))
    else say(ports, summary(file, loaded).join('\n'))
  } catch (error) {
    if (!(error instanceof ConfigError && options.json)) throw error
    say(ports, JSON.stringify({ ok: false, file, faults: error.faults, warnings: [], adapters: [] }))
    throw new AlreadyTold()
  }
}

const brief = ({ name, mount, credentials }: Config['adapters'][number]) => ({ name, mount, credentials })

function summary(file: string, { config, warnings }: LoadedConfig): string[] {
  const { adapters, callers, store } = config
  const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? '' : 's'}`
  return [
    `${file} is right: ${count(adapters.length, 'adapter')}, ${count(callers.length, 'caller')}, ${count(warnings.length, 'warning')}`,
    ...writeRows(adapters.map(({ name, mount, credentials }) => [name, mount, credentials ? `with ${credentials}` : ''])),
    ...(callers.length === 0 ? ['no callers: only this machine may call, with admin rights'] : []),
    ...(store.redis === null ? ['no store.redis: state is kept by one gateway alone'] : []),
    ...(store.keyFile === null && store.key === null
      ? ['no sealing key (store.keyFile): stored secrets would be forgotten at exit']
      : []),
    ...warnings.map((warning) => `warning: ${warning}`),
  ]
}

async function explain(url: string, options: ExplainOptions, ports: CliPorts): Promise<void> {
  const { config } = await loadConfig({ file: fileOf(options, ports), env: ports.env })
  const caller = options.caller === undefined ? null : findCaller(config, options.caller)
  const explanation = explainCall(config, { url, method: options.method, caller })
  if (options.json) say(ports, JSON.stringify(explanationJson(explanation)))
  else say(ports, explanationText(explanation).join('\n'))
  if (explanation.refusal !== null) throw new AlreadyTold()
}

function findCaller({ callers }: Config, name: string): Caller {
  const found = callers.find(({ caller }) => caller.name === name)
  if (found) return found.caller
  const known = callers.map(({ caller }) => caller.name).join(', ')
  throw new CliError(
    `there is no caller "${name}" in the configuration; ${known ? `its callers are ${known}` : 'it has none'}`,
    2,
  )
}

function say({ stdout }: CliPorts, text: string): void {
  stdout.write(`${text}\n`)
}
