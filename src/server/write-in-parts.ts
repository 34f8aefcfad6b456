// Writes a large answer part by part: each when the one before it is with the kernel, and others had their turn between. What is
// made while it is written needs that; and the kernel takes as much as it can get at once, of 10 MB for several milliseconds.
import type { Writable } from 'node:stream'
import type { AnswerPiece } from '../model/answer-body.ts'

/** Bytes. */
const PART = 512 * 1024

/** Nothing of it needs parts. */
export function isWrittenAtOnce(pieces: readonly AnswerPiece[]): pieces is readonly Uint8Array[] {
  let bytes = 0
  for (const piece of pieces) {
    bytes += piece.length
    if (!(piece instanceof Uint8Array) || bytes > PART) return false
  }
  return true
}

/** Resolves when all is with the kernel, or the connection is gone. Ends nothing. */
export async function writeInParts(out: Writable, pieces: readonly AnswerPiece[]): Promise<void> {
  for (const piece of pieces)
    for (const part of piece instanceof Uint8Array ? slicesOf(piece) : piece.parts()) {
      await new Promise<void>((resolve) => out.write(part, () => setImmediate(resolve)))
      if (out.destroyed) return
    }
}

function* slicesOf(bytes: Uint8Array): Generator<Uint8Array, void> {
  for (let start = 0; start < bytes.length; start += PART) yield bytes.subarray(start, start + PART)
}
