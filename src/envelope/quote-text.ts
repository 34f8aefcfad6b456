// Text of a large body as the inside of a JSON string, in UTF-8, made in parts between which others have their turn: the whole of
// 10 MB would hold up everybody for tens of milliseconds, and be there three times.
import { giveBack, takeMemory } from '../model/give-back.ts'
import { decodeText, isUtf8Charset } from './charset.ts'

/** Bytes of UTF-8, else characters; what comes of it is a short string that is copied while it is in the processor's cache. */
const STEP = 24 * 1024
/** So many in a turn: a fraction of a millisecond's work. */
const TURN = 4
/** What most texts grow by, or less. */
const USUAL_GROWTH = 1.3

/** `nextTurn` is waited for between the parts. In a charset other than UTF-8 the body is decoded at once, and then goes by parts. */
export async function quoteInTurns(bytes: Buffer, charset: string, nextTurn: () => Promise<void>): Promise<Buffer> {
  let memory = takeMemory(Math.ceil(bytes.length * USUAL_GROWTH))
  let filled = 0
  let steps = 0
  for (const text of isUtf8Charset(charset) ? utf8Steps(bytes) : textSteps(decodeText(bytes, charset))) {
    const quoted = JSON.stringify(text).slice(1, -1)
    const needed = filled + Buffer.byteLength(quoted)
    if (needed > memory.length) {
      const larger = takeMemory(Math.max(needed, memory.length * 2))
      memory.copy(larger, 0, 0, filled)
      giveBack(memory)
      memory = larger
    }
    filled += memory.write(quoted, filled)
    if (++steps % TURN === 0) await nextTurn()
  }
  return memory.subarray(0, filled)
}

function* utf8Steps(bytes: Buffer): Generator<string, void> {
  for (let start = 0, end = 0; start < bytes.length; start = end) {
    end = start + STEP < bytes.length ? cutAt(bytes, start + STEP) : bytes.length
    yield bytes.toString('utf8', start, end)
  }
}

/** `at`, or the start of the character that goes on there: at most four bytes, so that a fifth that would go on belongs to none. */
function cutAt(bytes: Buffer, at: number): number {
  for (let cut = at; cut > at - 4; cut--) if (((bytes[cut] ?? 0) & 0xc0) !== 0x80) return cut
  return at
}

function* textSteps(text: string): Generator<string, void> {
  for (let start = 0, end = 0; start < text.length; start = end) {
    end = start + STEP
    if (isFirstOfPair(text.charCodeAt(end - 1))) end++
    yield text.slice(start, end)
  }
}

function isFirstOfPair(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00
}
