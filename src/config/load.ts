// A configuration file, read whole: YAML, the folder of adapters, CA bundles, the environment. Either everything is right, or
// one ConfigError says all that is not.
import { availableParallelism } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Config } from './config.ts'
import { crossCheck, crossWarnings } from './cross-checks.ts'
import { ConfigError, type Fault, type Objection, objectionsOf, type Place } from './faults.ts'
import { listYamlFiles, readBundle, readText, unreadable } from './files.ts'
import { readListenFiles } from './listen-tls.ts'
import { readRedisFiles, redisFiles } from './redis-store.ts'
import { resolveConfig, type Surroundings } from './resolve.ts'
import { ROOT, type Written } from './schema.ts'
import { brokenSource, type Environment, parseSource, type Source } from './source.ts'

export interface LoadOptions {
  /** null: the built-in sample. */
  readonly file: string | null
  readonly env: Environment
}

export interface LoadedConfig {
  readonly config: Config
  /** Each with its file, line and key. */
  readonly warnings: string[]
  /** Absolute paths of what was read, the folder of adapters included: what watchConfig() watches. */
  readonly files: string[]
}

const SAMPLE = fileURLToPath(new URL('../../config/sample.yaml', import.meta.url))

/**
 * Throws ConfigError. First every key is judged for itself, then, if all are right, what they mean together.
 * Relative paths in a file are relative to its folder, but `dataDir` to the working directory.
 */
export async function loadConfig({ file, env }: LoadOptions): Promise<LoadedConfig> {
  const path = file ?? SAMPLE
  const root = await openSource(path, env)
  const folder = await openAdapters(root, path, env)
  const sources: Sources = { root, adapters: folder?.sources ?? null }
  const written = judge(sources, folder?.faults ?? [])
  const surroundings = await readSurroundings(written, path)
  const facts = { written, config: resolveConfig(written, surroundings) }
  refuse(sources, [...surroundings.objections, ...crossCheck(facts)])
  return {
    config: facts.config,
    warnings: crossWarnings(facts).map((objection) => warning(placed(sources, objection))),
    files: [path, ...(folder?.files ?? []), ...surroundings.files].map((each) => resolve(each)),
  }
}

interface Sources {
  readonly root: Source
  /** One for each adapter, in their order; null: they stand in the root. */
  readonly adapters: readonly Source[] | null
}

async function openSource(path: string, env: Environment): Promise<Source> {
  const text = await readText(path)
  return text.ok ? parseSource(path, text.value, env) : brokenSource(path, text.fault)
}

interface AdapterFolder {
  readonly sources: readonly Source[]
  readonly files: readonly string[]
  readonly faults: readonly Fault[]
}

/** null: `adapters` is no path, or the root could not be read. */
async function openAdapters(root: Source, path: string, env: Environment): Promise<AdapterFolder | null> {
  const written = isMapping(root.value) ? root.value.adapters : undefined
  if (typeof written !== 'string' || written === '') return null
  const folder = join(written.startsWith('/') ? '' : dirname(path), written)
  const names = await listYamlFiles(folder)
  if (!names.ok)
    return { sources: [], files: [folder], faults: [{ ...root.locate(['adapters']), message: `names a folder: ${names.fault}` }] }
  const files = names.value.map((name) => join(folder, name))
  const sources: Source[] = []
  for (const each of files) sources.push(await openSource(each, env))
  return { sources, files: [folder, ...files], faults: [] }
}

function isMapping(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** What was written, each key right for itself. */
function judge(sources: Sources, earlier: readonly Fault[]): Written {
  const { root, adapters } = sources
  const faults = [root, ...(adapters ?? [])].flatMap((source) => source.faults).concat(earlier)
  if (root.value === undefined) throw new ConfigError(faults)
  const value =
    adapters && isMapping(root.value) ? { ...root.value, adapters: adapters.map((source) => source.value) } : root.value
  const outcome = ROOT.safeParse(value)
  if (outcome.success && faults.length === 0) return outcome.data
  const said = new Set(faults.map(position))
  const broken = new Set(faults.filter(({ key }) => key === '').map((fault) => fault.file))
  const further = objectionsOf(outcome.error?.issues ?? [])
    .map((objection) => placed(sources, objection))
    .filter((fault) => !said.has(position(fault)) && !broken.has(fault.file))
  throw new ConfigError([...faults, ...further].sort(byPlace))
}

const byPlace = (a: Fault, b: Fault): number =>
  a.file === b.file ? a.line - b.line || a.column - b.column : a.file < b.file ? -1 : 1

const position = ({ file, line, column }: Place): string => `${file}:${line}:${column}`

interface Read extends Surroundings {
  readonly objections: readonly Objection[]
  readonly files: readonly string[]
}

const BUNDLE_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/

const HIGH_WATER = 'secret-high-water.jsonl'

async function readSurroundings(written: Written, path: string): Promise<Read> {
  const near = (given: string): string => resolve(dirname(path), given)
  const objections: Objection[] = []
  const caBundles = new Map<string, string>()
  for (const [name, given] of Object.entries(written.caBundles)) {
    const pem = await readBundle(near(given))
    if (!BUNDLE_NAME.test(name))
      objections.push({ path: ['caBundles', name], message: 'is no name: letters, digits and . _ - only', at: 'key' })
    // A bundle that cannot be read keeps its name, so that the adapters that use it are not reported too.
    caBundles.set(name, pem.ok ? pem.value : '')
    if (!pem.ok) objections.push({ path: ['caBundles', name], message: `names a file: ${pem.fault}` })
  }
  const keyFileOf = async (section: 'store' | 'audit'): Promise<string | null> => {
    const given = written[section].keyFile
    const file = given ? near(given) : null
    const fault = file === null ? null : await unreadable(file)
    if (fault !== null) objections.push({ path: [section, 'keyFile'], message: `names a file: ${fault}` })
    return file
  }
  const keyFile = await keyFileOf('store')
  const auditKeyFile = await keyFileOf('audit')
  const checkpointFile = written.audit.checkpoint?.file ? near(written.audit.checkpoint.file) : null
  const redis = await readRedisFiles(written.store.redis, near)
  objections.push(...redis.objections)
  const listen = await readListenFiles(written.listen.tls, near)
  objections.push(...listen.objections)
  const files = [...Object.values(written.caBundles), ...redisFiles(written.store.redis)].map(near).concat(listen.files)
  const dataDir = resolve(written.dataDir)
  const highWater = written.store.highWater ? near(written.store.highWater) : join(dataDir, HIGH_WATER)
  return {
    dataDir,
    keyFile,
    auditKeyFile,
    checkpointFile,
    highWater,
    cores: availableParallelism(),
    caBundles,
    listenPems: listen.pems,
    redisPems: redis.pems,
    objections,
    files,
  }
}

function refuse(sources: Sources, objections: readonly Objection[]): void {
  if (objections.length > 0) throw new ConfigError(objections.map((objection) => placed(sources, objection)).sort(byPlace))
}

function placed({ root, adapters }: Sources, { path, message, at, or }: Objection): Fault {
  const [first, index, ...rest] = path
  const own = adapters && first === 'adapters' && typeof index === 'number' ? adapters[index] : undefined
  if (own) return { ...own.locate(rest, at), message }
  const place = or && !root.has(path) ? { ...root.locate(or), key: root.locate(path).key } : root.locate(path, at)
  return { ...place, message }
}

function warning({ file, line, column, key, message }: Fault): string {
  return `${file}:${line}:${column} ${key} ${message}`
}
