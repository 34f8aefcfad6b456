// sallyport callers create, list, revoke: the API keys of callers that the configuration names. A key is shown once, when it
// is made.
import type { Command } from 'commander'
import type { CallerRow, KeyRow } from '../callers/administration.ts'
import { parseDuration } from '../model/units.ts'
import { CliError, type CliPorts, type CliStores } from './ports.ts'
import { writeRows } from './write-units.ts'

interface Common {
  readonly config?: string
  readonly json?: boolean
}

interface CreateOptions extends Common {
  readonly expires?: string
}

export function addCallerCommands(program: Command, ports: CliPorts): void {
  const callers = program.command('callers').description('API keys of callers: create, list, revoke')
  const common = (command: Command): Command =>
    command.option('--config <file>', 'the configuration file (default: SALLYPORT_CONFIG)').option('--json', 'answer in JSON')

  common(callers.command('create <name>'))
    .description('make a key for a configured caller and show it, once; every replica takes it within a second')
    .option(
      '--expires <when>',
      'an instant such as 2027-01-31 or 2027-01-31T12:00:00Z, or a duration such as 2160h (default: never)',
    )
    .action((name: string, options: CreateOptions) => createKey(name, options, ports))
  common(callers.command('list'))
    .description('the callers and their keys, without the keys themselves')
    .action((options: Common) => listCallers(options, ports))
  common(callers.command('revoke <key-id>'))
    .description('end a key; every replica refuses it within a second')
    .action((id: string, options: Common) => revokeKey(id, options, ports))
}

async function createKey(caller: string, options: CreateOptions, ports: CliPorts): Promise<void> {
  const expiresAt = options.expires === undefined ? null : parseExpiry(options.expires)
  await withCallers(options, ports, async ({ callers, who, act }) => {
    const make = () => callers.createKey({ caller, expiresAt, by: who })
    const { id, key, createdAt, expiresAt: ends } = await act('caller-key.create', caller, make, { expires: instant(expiresAt) })
    if (options.json) {
      write(ports, JSON.stringify({ caller, id, key, createdAt: instant(createdAt), expiresAt: instant(ends) }))
      return
    }
    ports.stderr.write(`key ${id} of ${caller}, shown this once; the caller sends it as X-Sallyport-Key:\n`)
    write(ports, key)
  })
}

async function listCallers(options: Common, ports: CliPorts): Promise<void> {
  await withCallers(options, ports, async ({ callers }) => {
    const rows = await callers.list()
    write(ports, options.json ? JSON.stringify(rows.map(jsonOf)) : tableOf(rows))
  })
}

async function revokeKey(id: string, options: Common, ports: CliPorts): Promise<void> {
  await withCallers(options, ports, async ({ callers, who, act }) => {
    const { caller, key } = await act('caller-key.revoke', id, () => callers.revokeKey(id, who))
    write(ports, options.json ? JSON.stringify({ caller, ...keyJson(key) }) : `revoked ${key.id} of ${caller}`)
  })
}

async function withCallers(options: Common, ports: CliPorts, work: (stores: CliStores) => Promise<void>): Promise<void> {
  const stores = await ports.openStores(options.config ?? null)
  try {
    await work(stores)
  } finally {
    stores.close()
  }
}

const INSTANT = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d{1,3})?)?(?:Z|[+-]\d{2}:\d{2}))?$/

/** Ms since 1970; a date alone is its beginning in UTC. */
function parseExpiry(written: string): number {
  const at = INSTANT.test(written) ? Date.parse(written) : Number.NaN
  if (!Number.isNaN(at)) return at
  const duration = parseDuration(written)
  if (duration.ok && !/^\d+$/.test(written)) return Date.now() + duration.value
  throw new CliError('--expires is an instant such as 2027-01-31 or 2027-01-31T12:00:00Z, or a duration such as 2160h', 2)
}

const HEADINGS = ['caller', 'key', 'state', 'created', 'by', 'last used', 'expires']

function tableOf(rows: readonly CallerRow[]): string {
  const lines = rows.flatMap((row) => {
    const other = [...(row.jwt ? ['tokens'] : []), ...(row.certificates > 0 ? ['certificates'] : [])].join(', ')
    const caller = row.configured ? row.caller : `${row.caller} (not configured)`
    if (row.keys.length === 0) return [[caller, '-', other === '' ? 'no way in' : `by ${other}`, '', '', '', '']]
    return row.keys.map((key) => [caller, ...cellsOf(key)])
  })
  return lines.length === 0 ? 'no callers are configured' : writeRows([HEADINGS, ...lines], '').join('\n')
}

function cellsOf({ id, source, state, createdAt, createdBy, lastUsedAt, expiresAt }: KeyRow): string[] {
  const created = source === 'config' ? 'in the file' : minute(createdAt, '')
  return [id, state, created, createdBy ?? '', minute(lastUsedAt, 'never seen'), minute(expiresAt, 'never')]
}

function minute(ms: number | null, none: string): string {
  return ms === null ? none : `${new Date(ms).toISOString().slice(0, 16)}Z`
}

function instant(ms: number | null): string | null {
  return ms === null ? null : new Date(ms).toISOString()
}

function jsonOf({ keys, ...row }: CallerRow): object {
  return { ...row, keys: keys.map(keyJson) }
}

function keyJson({ createdAt, lastUsedAt, expiresAt, ...key }: KeyRow): object {
  return { ...key, createdAt: instant(createdAt), lastUsedAt: instant(lastUsedAt), expiresAt: instant(expiresAt) }
}

function write({ stdout }: CliPorts, text: string): void {
  stdout.write(`${text}\n`)
}
