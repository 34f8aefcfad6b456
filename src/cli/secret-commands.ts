// sallyport secrets set, rotate, list, revoke, rekey, delete. Values go in and never come out.
import { type Command, InvalidArgumentError } from 'commander'
import type { Rotation, SecretAdministration, SecretChange } from '../credentials/administer.ts'
import { SCHEMES } from '../credentials/schemes/index.ts'
import type { SecretPool, SecretScheme } from '../model/ports.ts'
import { gather } from './gather.ts'
import { AlreadyTold, CliError, type CliPorts, type CliStores } from './ports.ts'
import { readInstant, readSpan } from './read-times.ts'
import { readValues } from './read-values.ts'
import { secretJson, secretLines } from './secret-rows.ts'

interface Common {
  readonly config?: string
  readonly json?: boolean
}

interface TermOptions {
  readonly overlap?: number
  readonly notBefore?: number
  readonly expires?: number
}

interface RotateOptions extends Common, TermOptions {
  readonly scheme?: SecretScheme
  readonly origin?: readonly string[]
  readonly caller?: readonly string[]
  readonly values?: string
  readonly pick?: SecretPool['pick']
}

type SetOptions = RotateOptions & Required<Pick<RotateOptions, 'scheme' | 'origin' | 'caller'>>

export function addSecretCommands(program: Command, ports: CliPorts): void {
  const secrets = program.command('secrets').description('stored credentials: set, rotate, list, revoke, rekey, delete')
  const common = (command: Command): Command =>
    command.option('--config <file>', 'the configuration file (default: SALLYPORT_CONFIG)').option('--json', 'answer in JSON')
  const given = (command: Command): Command =>
    common(command)
      .option('--values <file>', 'a file of JSON or key=value lines; "-" is standard input; a JSON list makes a pool')
      .option('--pick <how>', 'which of a pool serves: round-robin (default) or least-used', readPick)
      .option('--not-before <when>', 'it serves from then on: an RFC 3339 instant, or how long from now, such as 2h', readInstant)
      .option('--expires <when>', 'it ends then: an RFC 3339 instant, or how long from now, such as 90d', readInstant)
  const SCHEME = ['--scheme <scheme>', Object.keys(SCHEMES).join(', ')] as const
  const ORIGIN = ['--origin <origin>', 'where it may be sent: scheme://host[:port]; may be repeated'] as const
  const CALLER = ['--caller <caller>', 'who may use it, "*" for every caller; may be repeated'] as const
  const overlap = (byDefault: string): [string, string, (text: string) => number] => [
    '--overlap <duration>',
    `how long the version before is still good (default ${byDefault})`,
    readSpan,
  ]

  given(secrets.command('set <name>'))
    .description('store a secret, or its next version; values are asked for, or read from standard input')
    .requiredOption(...SCHEME, readScheme)
    .requiredOption(...ORIGIN, gather)
    .requiredOption(...CALLER, gather)
    .option(...overlap('none'))
    .action((name: string, options: SetOptions) => setSecret(name, options, ports))
  given(secrets.command('rotate <name>'))
    .description('new values for a stored secret; scheme, origins and callers stay unless given')
    .option(...SCHEME, readScheme)
    .option(...ORIGIN, gather)
    .option(...CALLER, gather)
    .option(...overlap('1h'))
    .action((name: string, options: RotateOptions) => rotateSecret(name, options, ports))
  common(secrets.command('list'))
    .description('what is stored, without values')
    .action((options: Common) => listSecrets(options, ports))
  common(secrets.command('revoke <name>'))
    .description('wipe the values of a secret; no replica uses them a second later')
    .option('--version <number>', 'this version alone', readVersion)
    .action((name: string, options: Common & { version?: number }) => revokeSecret(name, options, ports))
  common(secrets.command('rekey'))
    .description('seal every secret anew under the active key; may be interrupted and run again')
    .action((options: Common) => rekeySecrets(options, ports))
  common(secrets.command('delete <name>'))
    .description('remove a secret; every replica stops using it within a second')
    .action((name: string, options: Common) => deleteSecret(name, options, ports))
}

function readScheme(text: string): SecretScheme {
  if (!Object.hasOwn(SCHEMES, text)) throw new CliError(`--scheme is one of ${Object.keys(SCHEMES).join(', ')}`)
  return text as SecretScheme
}

function readPick(text: string): SecretPool['pick'] {
  if (text !== 'round-robin' && text !== 'least-used') throw new InvalidArgumentError('write round-robin or least-used.')
  return text
}

function readVersion(text: string): number {
  if (!/^[1-9]\d{0,14}$/.test(text)) throw new InvalidArgumentError('write the number of a version.')
  return Number(text)
}

/** One set of values, or a pool of which the first stands for all. */
function valuesOf(members: readonly Readonly<Record<string, string>>[], pick: SecretPool['pick'] | undefined) {
  const [values = {}, ...more] = members
  if (more.length === 0 && pick !== undefined)
    throw new CliError('--pick is for a pool: give a JSON list of at least two sets of values')
  return more.length === 0 ? { values } : { values, pool: { pick: pick ?? 'round-robin', members } }
}

const termsOf = ({ overlap, notBefore, expires }: TermOptions) => ({
  ...(overlap === undefined ? {} : { overlapMs: overlap }),
  ...(notBefore === undefined ? {} : { notBefore }),
  ...(expires === undefined ? {} : { expiresAt: expires }),
})

async function setSecret(name: string, options: SetOptions, ports: CliPorts): Promise<void> {
  const { scheme, origin: origins, caller: callers } = options
  await withSecrets(options, ports, async (secrets, { act }) => {
    const members = await readValues(options.values ?? null, SCHEMES[scheme], ports)
    const secret = { name, scheme, ...valuesOf(members, options.pick), origins, callers }
    const done = await act('secret.set', name, () => secrets.set(secret, termsOf(options)), { scheme })
    tell(done, `stored ${name}, version ${done.version}`, options, ports)
  })
}

async function rotateSecret(name: string, options: RotateOptions, ports: CliPorts): Promise<void> {
  await withSecrets(options, ports, async (secrets, { act }) => {
    const before = await findSecret(name, secrets)
    const scheme = options.scheme ?? before.scheme
    const members = await readValues(options.values ?? null, SCHEMES[scheme], ports)
    const pick = options.pick ?? (members.length > 1 ? before.pool?.pick : undefined)
    const rotation: Rotation = {
      ...valuesOf(members, pick),
      scheme,
      ...(options.origin ? { origins: options.origin } : {}),
      ...(options.caller ? { callers: options.caller } : {}),
      ...termsOf(options),
    }
    const done = await act('secret.rotate', name, () => secrets.rotate(name, rotation), { scheme })
    tell(done, `rotated ${name} to version ${done.version}`, options, ports)
  })
}

async function findSecret(name: string, secrets: SecretAdministration) {
  const found = (await secrets.list()).find((each) => each.name === name)
  if (found && 'fault' in found) throw new CliError(`${found.fault}; set it anew`)
  const last = found?.versions.at(-1)
  if (!last) throw new CliError(`there is no secret "${name}"; "sallyport secrets set" stores one`)
  return last
}

async function listSecrets(options: Common, ports: CliPorts): Promise<void> {
  await withSecrets(options, ports, async (secrets) => {
    const listed = await secrets.list()
    if (options.json) say(ports, JSON.stringify(listed.map(secretJson)))
    else say(ports, secretLines(listed, Date.now()).join('\n') || 'no secrets are stored')
  })
}

async function revokeSecret(name: string, options: Common & { version?: number }, ports: CliPorts): Promise<void> {
  const version = options.version ?? null
  await withSecrets(options, ports, async (secrets, { act }) => {
    const done = await act('secret.revoke', name, () => secrets.revoke(name, version), { version })
    tell(done, version === null ? `revoked ${name}` : `revoked version ${version} of ${name}`, options, ports)
  })
}

async function rekeySecrets(options: Common, ports: CliPorts): Promise<void> {
  await withSecrets(options, ports, async (secrets, { act }) => {
    const shown = ports.stdout.isTTY && !options.json
    const progress = (done: number, of: number): void => {
      if (shown) ports.stderr.write(`\r${done} of ${of}${done === of ? '\n' : ''}`)
    }
    const report = await act('secret.rekey', null, () => secrets.rekey(progress))
    const { keyId, resealed, unchanged, failed } = report
    if (options.json) say(ports, JSON.stringify(report))
    else say(ports, `${resealed.length} sealed anew under key ${keyId}, ${unchanged} there already, ${failed.length} failed`)
    for (const { name, because } of failed) ports.stderr.write(`${name}: ${because}\n`)
    if (failed.length > 0) throw new AlreadyTold()
  })
}

async function deleteSecret(name: string, options: Common, ports: CliPorts): Promise<void> {
  await withSecrets(options, ports, async (secrets, { act }) => {
    const { warnings } = await act('secret.delete', name, () => secrets.remove(name))
    warn(warnings, ports)
    say(ports, options.json ? JSON.stringify({ name, deleted: true, warnings }) : `deleted ${name}`)
  })
}

async function withSecrets(
  options: Common,
  ports: CliPorts,
  work: (secrets: SecretAdministration, stores: CliStores) => Promise<void>,
): Promise<void> {
  const stores = await ports.openStores(options.config ?? null)
  try {
    if (!stores.secrets)
      throw new CliError(
        'there is no sealing key, so that secrets live in the memory of the gateway alone; make one with "sallyport keys generate" and name it under store.keyFile',
      )
    await work(stores.secrets, stores)
  } finally {
    stores.close()
  }
}

function tell(done: SecretChange, line: string, { json }: Common, ports: CliPorts): void {
  warn(done.warnings, ports)
  say(ports, json ? JSON.stringify(done) : line)
}

function warn(warnings: readonly string[], { stderr }: CliPorts): void {
  for (const warning of warnings) stderr.write(`warning: ${warning}\n`)
}

function say({ stdout }: CliPorts, text: string): void {
  stdout.write(`${text}\n`)
}
