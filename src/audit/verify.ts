// Holds the trail against its chain: every record that was changed, removed, inserted or moved, and every tail that was cut, gets
// a finding. What it protects against is an edit by somebody without the key; format in docs/audit.md.
import { existsSync } from 'node:fs'
import { type AuditKey, type AuditKeys, openKey } from './audit-keys.ts'
import { type Block, isGenuine, NO_MAC } from './block.ts'
import type { ChainEnd } from './chain-writer.ts'
import { listFiles, type TrailFile } from './file-names.ts'
import { linesOf, openTrailFile, type ReadBlock, readBlocks } from './read-blocks.ts'
import { hasOtherTwin } from './twin-file.ts'

export type FindingKind =
  /** Bytes are not those that were written. */
  | 'changed'
  /** Records are gone from the middle. */
  | 'missing'
  /** Records stand where they do not belong, or twice. */
  | 'order'
  /** A file does not follow on the one before it. */
  | 'link'
  /** A key that is not known, or took over without a hand-over. */
  | 'key'
  /** A file cannot be read. */
  | 'damaged'
  /** The end is gone that a checkpoint names. */
  | 'cut'
  /** The trail ends in the middle of a write: a crash, or a write under way. No sign of an edit. */
  | 'torn'

export interface Finding {
  readonly kind: FindingKind
  readonly file: string
  /** Byte in the uncompressed file; null: the file as a whole. */
  readonly at: number | null
  /** Numbers of the records concerned, as far as they can be told. */
  readonly records: { readonly from: number; readonly to: number } | null
  readonly message: string
}

export interface ChainReport {
  readonly writer: string
  readonly chain: string | null
  readonly files: number
  readonly blocks: number
  readonly records: number
  /** Number of the first and last record; null: there is none. */
  readonly first: number | null
  readonly last: number | null
  readonly findings: readonly Finding[]
}

export interface VerifyReport {
  /** Nothing was found but torn tails. */
  readonly ok: boolean
  readonly chains: readonly ChainReport[]
}

export interface VerifyOptions {
  readonly folder: string
  readonly keys: AuditKeys
  /** Ends of chains that were kept elsewhere. */
  readonly checkpoints?: readonly ChainEnd[]
}

export async function verifyTrail({ folder, keys, checkpoints = [] }: VerifyOptions): Promise<VerifyReport> {
  const files = existsSync(folder) ? listFiles(folder) : []
  const chains: ChainReport[] = []
  const met = new Set<ChainEnd>()
  for (const writer of new Set(files.map((file) => file.writer))) {
    const own = files.filter((file) => file.writer === writer)
    const report = await verifyChain(writer, own, { folder, keys, checkpoints, met })
    const twin = chains.find(({ chain }) => chain !== null && chain === report.chain)
    chains.push(twin ? { ...report, findings: [...report.findings, copied(report, twin.writer, own[0]?.name ?? '')] } : report)
  }
  const lost = checkpoints.filter((checkpoint) => !met.has(checkpoint)).map(lostChain)
  if (lost.length > 0) chains.push({ writer: 'checkpoints', chain: null, ...NOTHING, findings: lost })
  return { ok: chains.every(({ findings }) => findings.every(({ kind }) => kind === 'torn')), chains }
}

const NOTHING = { files: 0, blocks: 0, records: 0, first: null, last: null }

/** Nothing in a block says whose files it stands in: a copy under another writer's name is genuine in itself. */
const copied = ({ chain }: ChainReport, writer: string, file: string): Finding => ({
  ...{ kind: 'order', file, at: null, records: null },
  message: `chain ${chain} is that of "${writer}" and stands here once more`,
})

const lostChain = ({ chain, file, seq }: ChainEnd): Finding => ({
  ...{ kind: 'cut', file, at: null, records: { from: 1, to: seq } },
  message: `a checkpoint knows chain ${chain} up to record ${seq} in ${file}; nothing of that chain is here`,
})

interface Surroundings {
  readonly folder: string
  readonly keys: AuditKeys
  readonly checkpoints: readonly ChainEnd[]
  /** Checkpoints whose chain was found, right or wrong. */
  readonly met: Set<ChainEnd>
}

/** Where the walk along a chain stands. */
interface Walk {
  chain: string | null
  file: string
  mac: string
  seq: number
  /** The key that the next block has to have; null: any. */
  key: string | null
  first: number | null
  blocks: number
  records: number
  readonly findings: Finding[]
  readonly checked: Map<ChainEnd, boolean>
  /** Files that genuine notes say were removed for their age, and the MAC that each ended with. */
  readonly removed: Map<string, string>
  /** The first file says that this one came before it, with that MAC. */
  before: { readonly file: string; readonly mac: string } | null
}

async function verifyChain(writer: string, files: readonly TrailFile[], surroundings: Surroundings): Promise<ChainReport> {
  const findKey = createKeyFinder(files, surroundings)
  const walk: Walk = {
    ...{ chain: null, file: '', mac: NO_MAC, seq: 0, key: null, first: null, blocks: 0, records: 0, before: null },
    ...{ findings: [], checked: new Map(), removed: new Map() },
  }
  for (const [index, file] of files.entries())
    await verifyFile(file, index === files.length - 1, walk, findKey, surroundings).catch((error: unknown) => {
      const because = (error as NodeJS.ErrnoException).code ?? (error as Error).message
      walk.findings.push({ kind: 'damaged', file: file.name, at: null, records: null, message: `cannot be read: ${because}` })
    })
  judgeBeginning(walk, files[0]?.name ?? '')
  judgeCheckpoints(walk, surroundings)
  const { chain, blocks, records, first, findings } = walk
  return { writer, chain, files: files.length, blocks, records, first, last: records > 0 ? walk.seq : null, findings }
}

async function verifyFile(
  file: TrailFile,
  newest: boolean,
  walk: Walk,
  findKey: KeyFinder,
  { folder, checkpoints, met }: Surroundings,
): Promise<void> {
  if (await hasOtherTwin(folder, file))
    walk.findings.push({
      ...{ kind: 'changed', file: file.name, at: null, records: null },
      message: `stands here plain and compressed (${file.name}.gz), and the two differ; only the plain one was looked at`,
    })
  const reader = await openTrailFile(folder, file)
  try {
    let end = 0
    for await (const read of readBlocks(reader, 0)) {
      await verifyBlock(file.name, read, walk, findKey)
      for (const checkpoint of checkpoints) {
        if (checkpoint.chain !== read.block.chain) continue
        met.add(checkpoint)
        if (checkpoint.seq === read.block.seq) walk.checked.set(checkpoint, checkpoint.mac === read.block.mac)
      }
      end = read.end
    }
    const left = (await reader.size()) - end
    if (left > 0) walk.findings.push(tail(file.name, { newest, end, left }))
  } finally {
    await reader.close()
  }
}

function tail(file: string, { newest, end, left }: { newest: boolean; end: number; left: number }): Finding {
  const at = { file, at: end, records: null }
  return newest
    ? {
        kind: 'torn',
        ...at,
        message: `the last ${left} bytes are of a write that was cut off, or is under way; they are no records`,
      }
    : {
        kind: 'changed',
        ...at,
        message: `the last ${left} bytes belong to no block: they were added, or the end of their block was removed`,
      }
}

async function verifyBlock(file: string, read: ReadBlock, walk: Walk, findKey: KeyFinder): Promise<void> {
  const { block, start, bytes } = read
  const opening = walk.blocks === 0
  if (opening) Object.assign(walk, { chain: block.chain, seq: block.seq - block.count, first: block.seq - block.count + 1 })
  const from = block.seq - block.count + 1
  const found = (kind: FindingKind, message: string, records: Finding['records'] = { from, to: block.seq }): void =>
    void walk.findings.push({ kind, file, at: start, records, message })

  if (start === 0) judgeLink(file, block, walk, opening, found)
  else if (block.head) found('link', 'this block was the first of a file and now stands further down')
  if (block.chain !== walk.chain) found('link', `another chain (${block.chain}) begins here`)
  // Opening a trail whose first files are gone, the MAC before is what the block itself says, judged at the end.
  const prev = opening ? (block.head?.prev ?? NO_MAC) : walk.mac

  const key = await findKey(block.key)
  if (walk.key !== null && walk.key !== block.key && block.chain === walk.chain)
    found('key', `key ${block.key} takes over from ${walk.key} without a hand-over`)
  const genuine = key !== null && isGenuine(bytes, block.mac, key, prev)
  if (key === null) found('key', `was made with key ${block.key}, which is not known here: these records cannot be verified`)
  const faults = numberFaults(read, walk.seq)
  if (key !== null && !genuine)
    for (const fault of faults.length > 0 ? faults : [changed(from, block)]) found(fault.kind, fault.message, fault.records)
  if (genuine) noteRemovals(read, walk)

  Object.assign(walk, { chain: block.chain, file, mac: block.mac, seq: block.seq, key: block.handover?.to ?? block.key })
  walk.blocks++
  walk.records += block.count
}

type Found = (kind: FindingKind, message: string, records?: Finding['records']) => void

function judgeLink(file: string, { head }: Block, walk: Walk, opening: boolean, found: Found): void {
  if (!head) {
    found('link', `the beginning of ${file} is gone`)
    return
  }
  if (head.file !== null && head.file !== file) found('link', `was written as ${head.file}, and stands here as ${file}`, null)
  if (opening) {
    if (head.after !== null && head.prev !== null) walk.before = { file: head.after, mac: head.prev }
  } else if (head.after === null) {
    found('link', 'a new chain begins here')
  } else if (head.after !== walk.file) {
    found('link', `follows on ${head.after}, which is not here`)
  } else if (head.prev !== walk.mac) {
    found('missing', `the end of ${walk.file} is gone: it once went on after record ${walk.seq}`, null)
  }
}

const named = (from: number, to: number): string => (from >= to ? `record ${to}:` : `records ${from} to ${to}:`)

const changed = (from: number, { seq }: Block) => ({
  kind: 'changed' as const,
  records: { from, to: seq },
  message:
    from >= seq ? `record ${seq} is not as it was written` : `records ${from} to ${seq}, one block, are not as they were written`,
})

/** What the numbers of a block that is not genuine tell: which records are missing, foreign or moved. */
function numberFaults(read: ReadBlock, before: number): Pick<Finding, 'kind' | 'message' | 'records'>[] {
  const { block } = read
  const from = block.seq - block.count + 1
  const faults: Pick<Finding, 'kind' | 'message' | 'records'>[] = []
  if (from > before + 1)
    faults.push({
      kind: 'missing',
      records: { from: before + 1, to: from - 1 },
      message: `${named(before + 1, from - 1)} missing`,
    })
  if (from <= before)
    faults.push({
      kind: 'order',
      records: { from, to: block.seq },
      message: `${named(from, block.seq)} found after record ${before}, where it does not belong`,
    })
  const numbers = numbersIn(read)
  const expected = new Set(Array.from({ length: block.count }, (_, index) => from + index))
  const missing = [...expected].filter((number) => !numbers.includes(number))
  const foreign = numbers.filter((number, index) => !expected.has(number) || numbers.indexOf(number) !== index)
  for (const number of missing)
    faults.push({ kind: 'missing', records: { from: number, to: number }, message: `record ${number}: missing` })
  for (const number of foreign)
    faults.push({ kind: 'order', records: { from: number, to: number }, message: `record ${number}: inserted here` })
  if (missing.length + foreign.length === 0 && numbers.some((number, index) => index > 0 && number < (numbers[index - 1] ?? 0)))
    faults.push({
      kind: 'order',
      records: { from, to: block.seq },
      message: `${named(from, block.seq)} found in another order`,
    })
  return faults
}

/** -1: a line that is no record. */
function numbersIn({ bytes, block }: ReadBlock): number[] {
  return bytes
    .subarray(block.torn ?? 0)
    .toString('utf8')
    .split('\n')
    .slice(0, -2)
    .map((line) => Number(/^\{"seq":(\d+),/.exec(line)?.[1] ?? -1))
}

function noteRemovals(read: ReadBlock, walk: Walk): void {
  if (!read.bytes.includes('"removed":{')) return
  for (const { line } of linesOf(read)) {
    const { kind, removed } = JSON.parse(line.toString('utf8')) as { kind: string; removed?: Record<string, string> }
    if (kind === 'note' && removed) for (const [file, mac] of Object.entries(removed)) walk.removed.set(file, mac)
  }
}

/** The oldest file may be gone for its age: then a genuine note in the chain says so. */
function judgeBeginning({ before, removed, findings }: Walk, file: string): void {
  if (before === null || removed.get(before.file) === before.mac) return
  findings.push({
    ...{ kind: 'missing', file, at: 0, records: null },
    message: `${before.file} came before ${file} and is gone; no record says that it was removed for its age`,
  })
}

function judgeCheckpoints({ chain, checked, first, seq, file, findings, before }: Walk, { checkpoints }: Surroundings): void {
  for (const checkpoint of checkpoints) {
    if (checkpoint.chain !== chain) continue
    const outcome = checked.get(checkpoint)
    // Older than what is kept.
    if (outcome === true || (before !== null && first !== null && checkpoint.seq < first)) continue
    const at = { file: checkpoint.file, at: null, records: { from: Math.min(seq + 1, checkpoint.seq), to: checkpoint.seq } }
    if (checkpoint.seq > seq)
      findings.push({
        kind: 'cut',
        ...at,
        file,
        message: `ends with record ${seq}; a checkpoint knows records up to ${checkpoint.seq}`,
      })
    else findings.push({ kind: 'changed', ...at, message: `record ${checkpoint.seq} is not the one that a checkpoint knows` })
  }
}

type KeyFinder = (id: string) => Promise<AuditKey | null>

/** Also finds keys that are given no more, sealed in the blocks with which they handed over. */
function createKeyFinder(files: readonly TrailFile[], { folder, keys }: Surroundings): KeyFinder {
  const unsealed = new Map<string, AuditKey>()
  let searched = false
  const find = (id: string): AuditKey | null => keys.find(id) ?? unsealed.get(id) ?? null
  return async (id) => {
    const known = find(id)
    if (known || searched) return known
    searched = true
    for (const { key, handover } of (await handovers(folder, files)).reverse()) {
      const under = handover ? find(handover.to) : null
      const opened = handover && under ? openKey(key, handover.sealed, under) : null
      if (opened) unsealed.set(key, opened)
    }
    return find(id)
  }
}

async function handovers(folder: string, files: readonly TrailFile[]): Promise<Block[]> {
  const found: Block[] = []
  for (const file of files) {
    const reader = await openTrailFile(folder, file).catch(() => null)
    if (!reader) continue
    try {
      for await (const { block } of readBlocks(reader, 0)) if (block.handover) found.push(block)
    } catch {
      // Damaged: the walk itself says so.
    } finally {
      await reader.close()
    }
  }
  return found
}
