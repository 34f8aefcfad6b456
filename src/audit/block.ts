// The block: all records of one write, and the line that ends them with a MAC over the previous block's MAC and every byte since.
// Format in docs/audit.md. Pure but for the HMAC.
import { createHmac } from 'node:crypto'
import type { AuditKey } from './audit-keys.ts'

export interface Block {
  /** Whose: drawn when the chain began. */
  readonly chain: string
  /** Number of its last record; that of the record before where it has none. */
  readonly seq: number
  /** Records in it. */
  readonly count: number
  /** Id of the key that made its MAC. */
  readonly key: string
  /** Stands in the first block of each file: which file it is (null: not told, as once), which came before, and its last MAC. */
  readonly head?: { readonly file: string | null; readonly after: string | null; readonly prev: string | null }
  /** Bytes ahead of its records that an interrupted write left; they are no records. */
  readonly torn?: number
  /** The next block is under that key; `sealed` is this one's key, sealed under it. */
  readonly handover?: { readonly to: string; readonly sealed: string }
  /** Base64url. */
  readonly mac: string
}

const MAC_LENGTH = 43
/** `…","mac":"<43 characters>"}` and a line end. */
const TAIL_LENGTH = MAC_LENGTH + 3

/** What the first MAC of a chain covers in place of an earlier one. */
export const NO_MAC = ''

/**
 * The bytes to append: `lines` (each with its line end) and the block's own line. `torn`: bytes already in the file since the last
 * block, which the MAC covers too.
 */
export function writeBlock(
  lines: string,
  block: Pick<Block, 'chain' | 'seq' | 'count'> & { readonly [K in 'head' | 'handover']: Block[K] | null },
  { key, prev, torn }: { readonly key: AuditKey; readonly prev: string; readonly torn: Buffer | null },
): { readonly bytes: Buffer; readonly mac: string } {
  const { chain, seq, count, head, handover } = block
  const usual = { kind: 'block', chain, seq, count, key: key.id }
  // Most blocks have nothing more, and a spread costs more than the rest of the line.
  const line = JSON.stringify(head || torn || handover ? { ...usual, ...head, torn: torn?.length, ...handover } : usual)
  // With what the MAC covers ahead of it, so that all of that is one buffer.
  const text = `${prev}${lines}${line.slice(0, -1)},"mac":"`
  const start = Buffer.byteLength(prev)
  const length = Buffer.byteLength(text)
  const bytes = Buffer.allocUnsafe(length + TAIL_LENGTH)
  bytes.write(text)
  const mac = macOf(key, torn ? [bytes.subarray(0, start), torn, bytes.subarray(start, length)] : [bytes.subarray(0, length)])
  bytes.write(`${mac}"}\n`, length, 'latin1')
  return { bytes: bytes.subarray(start), mac }
}

/** Of the previous block's MAC, and from the end of that block to the quotation mark that opens the MAC. */
function macOf({ key }: AuditKey, covered: readonly Buffer[]): string {
  const hmac = createHmac('sha256', key)
  for (const piece of covered) hmac.update(piece)
  return hmac.digest('base64url')
}

/** `bytes`: the block whole, from the end of the one before to its own line end. */
export function isGenuine(bytes: Buffer, mac: string, key: AuditKey, prev: string): boolean {
  return macOf(key, [Buffer.from(prev), bytes.subarray(0, bytes.length - TAIL_LENGTH)]) === mac
}

export const BLOCK_BEGIN = '{"kind":"block",'

/** null: no block's line. */
export function parseBlock(line: string): Block | null {
  if (!line.startsWith(BLOCK_BEGIN)) return null
  try {
    const { chain, seq, count, key, file, after, prev, torn, to, sealed, mac } = JSON.parse(line) as Record<string, unknown>
    if (!isCount(seq) || !isCount(count)) return null
    if (typeof chain !== 'string' || typeof key !== 'string' || typeof mac !== 'string' || mac.length !== MAC_LENGTH) return null
    // Exactly as it was written: the MAC is the last thing in it.
    if (!line.endsWith(`,"mac":"${mac}"}`)) return null
    return {
      ...{ chain, seq, count, key, mac },
      ...(after === undefined ? {} : { head: { file: textOrNull(file), after: textOrNull(after), prev: textOrNull(prev) } }),
      ...(isCount(torn) ? { torn } : {}),
      ...(typeof to === 'string' && typeof sealed === 'string' ? { handover: { to, sealed } } : {}),
    }
  } catch {
    return null
  }
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

const textOrNull = (value: unknown): string | null => (typeof value === 'string' ? value : null)
