// sallyport secrets set, list, delete. Values go in and never come out.
import type { Command } from 'commander'
import { SealError } from '../credentials/key-ring.ts'
import { provisionSecret } from '../credentials/provision.ts'
import { SCHEMES } from '../credentials/schemes/index.ts'
import { describeRecord, type Sealer } from '../credentials/seal.ts'
import type { SecretScheme } from '../model/ports.ts'
import { gather } from './gather.ts'
import { CliError, type CliPorts, type CliStores } from './ports.ts'
import { readValues } from './read-values.ts'

interface Common {
  readonly config?: string
  readonly json?: boolean
}

interface SetOptions extends Common {
  readonly scheme: string
  readonly origin: readonly string[]
  readonly caller: readonly string[]
  readonly values?: string
}

export function addSecretCommands(program: Command, ports: CliPorts): void {
  const secrets = program.command('secrets').description('stored credentials: set, list, delete')
  const common = (command: Command): Command =>
    command.option('--config <file>', 'the configuration file (default: SALLYPORT_CONFIG)').option('--json', 'answer in JSON')

  common(secrets.command('set <name>'))
    .description('store a secret, or its next version; values are asked for, or read from standard input')
    .requiredOption('--scheme <scheme>', Object.keys(SCHEMES).join(', '))
    .requiredOption('--origin <origin>', 'where it may be sent: scheme://host[:port]; may be repeated', gather)
    .requiredOption('--caller <caller>', 'who may use it, "*" for every caller; may be repeated', gather)
    .option('--values <file>', 'a file of JSON or key=value lines; "-" is standard input')
    .action((name: string, options: SetOptions) => setSecret(name, options, ports))
  common(secrets.command('list'))
    .description('what is stored, without values')
    .action((options: Common) => listSecrets(options, ports))
  common(secrets.command('delete <name>'))
    .description('remove a secret; every replica stops using it within a second')
    .action((name: string, options: Common) => deleteSecret(name, options, ports))
}

async function setSecret(name: string, options: SetOptions, ports: CliPorts): Promise<void> {
  const scheme = options.scheme as SecretScheme
  if (!Object.hasOwn(SCHEMES, scheme)) throw new CliError(`--scheme is one of ${Object.keys(SCHEMES).join(', ')}`)
  await withStores(options, ports, async ({ secrets, act }, sealer) => {
    const values = await readValues(options.values ?? null, SCHEMES[scheme], ports)
    const secret = { name, scheme, values, origins: options.origin, callers: options.caller }
    const version = await act('secret.set', name, () => provisionSecret(secrets, sealer, secret), { scheme })
    say(ports, options, { name, version }, `stored ${name}, version ${version}`)
  })
}

async function listSecrets(options: Common, ports: CliPorts): Promise<void> {
  await withStores(options, ports, async ({ secrets }, sealer) => {
    const records = (await secrets.load(null))?.records ?? new Map<string, string>()
    const rows = [...records].sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, record]) => describe(name, record, sealer))
    say(ports, options, rows, rows.map(lineOf).join('\n') || 'no secrets are stored')
  })
}

async function deleteSecret(name: string, options: Common, ports: CliPorts): Promise<void> {
  await withStores(options, ports, async ({ secrets, act }) => {
    if (!(await act('secret.delete', name, () => secrets.delete(name)))) throw new CliError(`there is no secret "${name}"`)
    say(ports, options, { name, deleted: true }, `deleted ${name}`)
  })
}

type Row = { readonly name: string; readonly fault: string } | ReturnType<typeof describeRecord>

/** Opened, so that an edited record is not listed as if it were good; the values are dropped at once. */
function describe(name: string, record: string, sealer: Sealer): Row {
  try {
    sealer.open(name, record)
    return describeRecord(name, record)
  } catch (error) {
    if (!(error instanceof SealError)) throw error
    return { name, fault: error.message }
  }
}

function lineOf(row: Row): string {
  if ('fault' in row) return `${row.name}  REFUSED  ${row.fault}`
  return `${row.name}  version ${row.version}  ${row.scheme}  to ${row.origins.join(' ')}  for ${row.callers.join(' ')}  key ${row.keyId}`
}

async function withStores(
  options: Common,
  ports: CliPorts,
  work: (stores: CliStores, sealer: Sealer) => Promise<void>,
): Promise<void> {
  const stores = await ports.openStores(options.config ?? null)
  try {
    if (!stores.sealer)
      throw new CliError(
        'there is no sealing key, so that secrets live in the memory of the gateway alone; make one with "sallyport keys generate" and name it under store.keyFile',
      )
    await work(stores, stores.sealer)
  } finally {
    stores.close()
  }
}

function say(ports: CliPorts, { json }: Common, value: unknown, line: string): void {
  ports.stdout.write(`${json ? JSON.stringify(value) : line}\n`)
}
