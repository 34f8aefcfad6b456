// sallyport audit search, tail, verify, export, ship: asks the trail of an installation, running or not, or a copy of its files.

import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import type { ChainEnd } from '../audit/chain-writer.ts'
import type { SinkSettings } from '../audit/sinks.ts'
import type { VerifyReport } from '../audit/verify.ts'
import { CSV_HEADER, csvRow } from '../model/audit-csv.ts'
import { AUDIT_STATUS_CLASSES, type AuditFound, type AuditQuery, type AuditStatusClass } from '../model/audit-search.ts'
import type { AuditSink } from '../model/audit-sink.ts'
import { parseDuration } from '../model/units.ts'
import { foundLine } from './audit-text.ts'
import { gather } from './gather.ts'
import { AlreadyTold, CliError, type CliPorts, type CliTrail } from './ports.ts'

interface Common {
  readonly config?: string
  readonly dir?: string
  readonly json?: boolean
}

interface Filters extends Common {
  readonly from?: string
  readonly to?: string
  readonly caller?: string
  readonly adapter?: string
  readonly host?: string
  readonly status?: string
  readonly error?: string
  readonly tag?: readonly string[]
  readonly requestId?: string
  readonly credential?: string
  readonly minDuration?: string
  readonly kind?: string
}

export function addAuditCommands(program: Command, ports: CliPorts): void {
  const audit = program.command('audit').description('the audit trail: search, follow, verify and export it')
  const common = (name: string): Command =>
    audit
      .command(name)
      .option('--config <file>', 'the configuration file (default: SALLYPORT_CONFIG)')
      .option('--dir <folder>', 'a copy of the files, in place of those of the installation')
  const filtered = (name: string): Command =>
    common(name)
      .option('--from <when>', 'an instant such as 2026-01-31T08:00Z, or how long ago, such as 2h')
      .option('--to <when>', 'before that')
      .option('--caller <name>', 'who called; of an act, who did it')
      .option('--adapter <name>')
      .option('--host <host>', 'of any hop; with its port where that is not the usual one')
      .option('--status <status>', `a status, or ${AUDIT_STATUS_CLASSES.join(', ')}`)
      .option('--error <type>', 'error.type; any: it failed, none: it did not')
      .option('--tag <tag>', 'name or name=value; may be repeated', gather)
      .option('--request-id <id>')
      .option('--credential <name>', 'name, or name@version')
      .option('--min-duration <duration>', 'calls that took so long or longer, such as 2s')
      .option('--kind <kind>', 'call, act or note')

  filtered('search')
    .description('what matches, newest first')
    .option('--limit <n>', 'at most so many', '100')
    .option('--json', 'as JSON, one record a line')
    .action((options: Filters & { limit: string }) => search(options, ports))
  filtered('tail')
    .description('the newest that match')
    .option('-n, --last <n>', 'so many', '20')
    .option('-f, --follow', 'and then each as it ends')
    .option('--json', 'as JSON, one record a line')
    .action((options: Filters & { last: string; follow?: boolean }) => tail(options, ports))
  common('verify')
    .description('hold every record against the chain; 0: nothing was changed, 1: something was')
    .option('--checkpoint <file>', 'ends of the chain that were kept elsewhere; may be repeated', gather)
    .option('--json', 'answer in JSON')
    .action((options: Common & { checkpoint?: readonly string[] }) => verify(options, ports))
  common('ship')
    .description('send everything that was not sent yet to a place, once')
    .requiredOption('--to <place>', 'stdout, or the URL of a collector')
    .option('--otlp', 'as OpenTelemetry logs; default: JSON lines')
    .option('--headers <file>', 'lines of "Name: value" to send along, in a file since they may hold secrets')
    .option('--ca <file>', 'PEM of the authorities to trust')
    .option('--cursor <file>', 'remembers what was sent; without it everything is sent each time')
    .option('--batch <n>', 'records in one request, at most', '500')
    .action((options: ShipOptions) => ship(options, ports))
  filtered('export')
    .description('everything that matches, oldest first')
    .option('--format <format>', 'ndjson or csv', 'ndjson')
    .option('--output <file>', 'a new file; default: standard output')
    .action((options: Filters & { format: string; output?: string }) => exportTrail(options, ports))
}

async function search(options: Filters & { limit: string }, ports: CliPorts): Promise<void> {
  const query = queryOf(options)
  let left = countOf(options.limit, '--limit')
  await withTrail(options, ports, async (trail) => {
    for await (const found of trail.stream(query)) {
      if (left-- === 0) {
        ports.stderr.write(`there are more; raise --limit, or narrow the search\n`)
        return
      }
      await show(found, options, ports)
    }
  })
}

async function tail(options: Filters & { last: string; follow?: boolean }, ports: CliPorts): Promise<void> {
  const query = queryOf(options)
  const last = countOf(options.last, '--last', 1000)
  const follow = options.follow ? ports.interrupted() : null
  await withTrail(options, ports, async (trail) => {
    for await (const found of trail.tail(query, { last, follow })) await show(found, options, ports)
  })
}

async function verify(options: Common & { checkpoint?: readonly string[] }, ports: CliPorts): Promise<void> {
  const checkpoints: ChainEnd[] = []
  for (const file of options.checkpoint ?? []) checkpoints.push(...(await readCheckpoints(file)))
  await withTrail(options, ports, async (trail) => {
    const report = await trail.verify(checkpoints)
    ports.stdout.write(options.json ? `${JSON.stringify(report)}\n` : verdict(report, checkpoints.length))
    if (!report.ok) throw new AlreadyTold()
  })
}

async function exportTrail(options: Filters & { format: string; output?: string }, ports: CliPorts): Promise<void> {
  const { format, output } = options
  if (format !== 'csv' && format !== 'ndjson') throw new CliError('--format is ndjson or csv', 2)
  const query = queryOf(options)
  await withTrail(options, ports, async (trail) => {
    const target = output === undefined ? ports.stdout : await createOutput(output)
    if (format === 'csv') await write(target, CSV_HEADER)
    for await (const found of trail.stream({ ...query, order: 'oldest' }))
      await write(target, format === 'csv' ? csvRow(found) : `${JSON.stringify(found)}\n`)
    if (target === ports.stdout) return
    target.end()
    await once(target, 'close')
  })
}

interface ShipOptions extends Common {
  readonly to: string
  readonly otlp?: boolean
  readonly headers?: string
  readonly ca?: string
  readonly cursor?: string
  readonly batch: string
}

async function ship(options: ShipOptions, ports: CliPorts): Promise<void> {
  const batch = Math.max(1, countOf(options.batch, '--batch', 10_000))
  const settings = await sinkOf(options, batch)
  let count = 0
  const sent = (records: readonly unknown[]): void => {
    count += records.length
  }
  await withTrail(options, ports, async (trail) => {
    const sink = told(trail.openSink(settings), settings, () => count)
    await trail.ship(sink, { cursorFile: options.cursor ?? null, batch, sent })
    ports.stderr.write(`sent ${count} records\n`)
  })
}

/** Its failures name the place, by its origin alone, and what it has already. */
function told(sink: AuditSink, settings: SinkSettings, count: () => number): AuditSink {
  const place = 'url' in settings ? new URL(settings.url).origin : 'standard output'
  return {
    ...sink,
    async send(records) {
      try {
        return await sink.send(records)
      } catch (error) {
        const because = error instanceof Error ? error.message : 'unknown'
        const less = sink.tooMany?.(error) ? '; send fewer at once: --batch' : ''
        throw new CliError(`${place} took ${count()} records and then no more: ${because}${less}`)
      }
    },
  }
}

async function sinkOf({ to, otlp = false, headers, ca }: ShipOptions, batch: number): Promise<SinkSettings> {
  if (to === 'stdout') return { name: 'command line', batch, type: 'stdout' }
  if (!/^https?:\/\//i.test(to) || !URL.canParse(to)) throw new CliError('--to is stdout, or an http:// or https:// URL', 2)
  const { username, password } = new URL(to)
  if (username || password)
    throw new CliError('--to holds a login, which others see; put an Authorization header into a file for --headers', 2)
  const lines = headers === undefined ? [] : (await readText(headers)).split(/\r?\n/).filter((line) => line.trim() !== '')
  const pairs = lines.map((line, index): [string, string] => {
    const colon = line.indexOf(':')
    if (colon < 1) throw new CliError(`${headers}, line ${index + 1}: write it as "Name: value"`)
    return [line.slice(0, colon).trim(), line.slice(colon + 1).trim()]
  })
  const type = otlp ? 'otlp-logs' : 'http'
  return {
    name: 'command line',
    batch,
    type,
    url: to,
    headers: Object.fromEntries(pairs),
    ca: ca === undefined ? null : await readText(ca),
  }
}

function readText(file: string): Promise<string> {
  return readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    throw new CliError(`cannot read ${file} (${error.code ?? 'unknown error'})`)
  })
}

async function createOutput(path: string): Promise<NodeJS.WritableStream> {
  const stream = createWriteStream(path, { flags: 'wx', mode: 0o600 })
  try {
    await once(stream, 'open')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new CliError(
      code === 'EEXIST' ? `${path} exists; name a new file` : `cannot write ${path} (${code ?? 'unknown error'})`,
    )
  }
  return stream
}

async function write(target: NodeJS.WritableStream, text: string): Promise<void> {
  if (!target.write(text)) await once(target, 'drain')
}

async function withTrail(options: Common, ports: CliPorts, work: (trail: CliTrail) => Promise<void>): Promise<void> {
  const trail = await ports.openTrail({ configFile: options.config ?? null, dir: options.dir ?? null })
  try {
    await work(trail)
  } finally {
    await trail.close()
  }
}

const show = (found: AuditFound, { json }: Common, { stdout }: CliPorts): Promise<void> =>
  write(stdout, `${json ? JSON.stringify(found) : foundLine(found)}\n`)

function queryOf(options: Filters): AuditQuery {
  const { caller, adapter, host, error, tag: tags, requestId, credential, kind } = options
  if (kind !== undefined && kind !== 'call' && kind !== 'act' && kind !== 'note')
    throw new CliError('--kind is call, act or note', 2)
  const given = { caller, adapter, host, error, tags, requestId, credential, kind, status: statusOf(options.status) }
  const times = {
    from: instantOf(options.from, '--from'),
    to: instantOf(options.to, '--to'),
    minDurationMs: durationOf(options.minDuration),
  }
  return Object.fromEntries(Object.entries({ ...given, ...times }).filter(([, value]) => value !== undefined))
}

function statusOf(text: string | undefined): number | AuditStatusClass | undefined {
  if (text === undefined || (AUDIT_STATUS_CLASSES as readonly string[]).includes(text))
    return text as AuditStatusClass | undefined
  if (!/^[1-5]\d\d$/.test(text))
    throw new CliError(`--status is a status such as 503, or one of ${AUDIT_STATUS_CLASSES.join(', ')}`, 2)
  return Number(text)
}

function durationOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  const parsed = parseDuration(/^\d+$/.test(text) ? Number(text) : text)
  if (!parsed.ok) throw new CliError(`--min-duration ${parsed.fault}`, 2)
  return parsed.value
}

/** Ahead of now, or RFC 3339. */
function instantOf(text: string | undefined, option: string): number | undefined {
  if (text === undefined) return undefined
  const ago = /^(\d+)d$/.exec(text)
  const parsed = ago ? { ok: true as const, value: Number(ago[1]) * 86_400_000 } : parseDuration(text)
  if (parsed.ok) return Date.now() - parsed.value
  const instant = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN
  if (Number.isNaN(instant))
    throw new CliError(`${option} is an instant such as 2026-01-31T08:00Z, or how long ago, such as 30m, 2h or 7d`, 2)
  return instant
}

function countOf(text: string, option: string, most = 1_000_000): number {
  const count = /^\d{1,7}$/.test(text) ? Number(text) : -1
  if (count < 0 || count > most) throw new CliError(`${option} is a number up to ${most}`, 2)
  return count
}

/** Lines of JSON, as `audit.checkpoint` writes them to a file or into the log; other lines of a log are passed over. */
async function readCheckpoints(file: string): Promise<ChainEnd[]> {
  const text = await readText(file)
  const found = text.split('\n').flatMap((line) => {
    const parsed = parseJson(line)
    const { chain, file, seq, mac } = (parsed ?? {}) as Partial<ChainEnd>
    return typeof chain === 'string' && typeof seq === 'number' && typeof mac === 'string'
      ? [{ chain, file: file ?? '', seq, mac }]
      : []
  })
  if (found.length === 0) throw new CliError(`${file} holds no checkpoint: a line with chain, seq and mac`)
  return found
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return null
  }
}

function verdict({ ok, chains }: VerifyReport, checkpoints: number): string {
  const lines = chains.flatMap(({ writer, files, blocks, records, first, last, findings }) => [
    `${writer}: ${records} records (${first ?? '-'} to ${last ?? '-'}) in ${blocks} blocks, ${files} files`,
    ...findings.map(({ kind, file, at, message }) => `  ${kind}: ${file}${at === null ? '' : ` at byte ${at}`}: ${message}`),
  ])
  const against =
    checkpoints === 0
      ? '; without --checkpoint a tail that was cut off whole cannot be seen'
      : `, held against ${checkpoints} checkpoints`
  const end =
    chains.length === 0 ? 'there is no trail here' : ok ? `nothing was changed${against}` : 'the trail is NOT as it was written'
  return `${[...lines, end].join('\n')}\n`
}
