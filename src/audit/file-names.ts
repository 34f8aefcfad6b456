// The files of the trail: one chain a writer, its files by day (UTC) and part. Plain, or compressed once nobody writes them.
import { readdirSync } from 'node:fs'

/** The gateway's own chain, those of further gateways on the same folder, and the command line's. */
export type WriterName = 'gateway' | `gateway-${number}` | 'acts'

export interface TrailFile {
  /** As it was written: without `.gz`. Blocks name it so, compressed or not. */
  readonly name: string
  readonly writer: string
  /** YYYY-MM-DD. */
  readonly day: string
  /** From 1; a day has further parts where one grew too large. */
  readonly part: number
  readonly compressed: boolean
}

const NAME = /^(?:(acts|gateway-[1-9]\d{0,2})-)?(\d{4}-\d\d-\d\d)(?:\.([1-9]\d{0,5}))?\.jsonl(\.gz)?$/

/** null: no file of the trail. */
export function parseFileName(entry: string): TrailFile | null {
  const match = NAME.exec(entry)
  if (!match) return null
  const [, writer = 'gateway', day = '', part = '1', gz] = match
  return { name: gz ? entry.slice(0, -3) : entry, writer, day, part: Number(part), compressed: gz !== undefined }
}

export function fileName(writer: WriterName, day: string, part: number): string {
  return `${writer === 'gateway' ? '' : `${writer}-`}${day}${part === 1 ? '' : `.${part}`}.jsonl`
}

/** Oldest first, writer by writer. One that stands there both plain and compressed counts as plain: its compression was cut short. */
export function listFiles(folder: string, writer?: string): TrailFile[] {
  const found = new Map<string, TrailFile>()
  for (const entry of readdirSync(folder)) {
    const file = parseFileName(entry)
    if (!file || (writer !== undefined && file.writer !== writer)) continue
    if (!file.compressed || !found.has(file.name)) found.set(file.name, file)
  }
  return [...found.values()].sort((a, b) => compare(a.writer, b.writer) || compare(a.day, b.day) || a.part - b.part)
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
