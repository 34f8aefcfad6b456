// Writes an answer of which a piece is made while it is written: each part when the one before it is with the kernel, and others
// had their turn between.
import type { Writable } from 'node:stream'
import type { AnswerPiece } from '../model/answer-body.ts'

/** Resolves when all is handed over, or the connection is gone. Ends nothing. */
export async function writeInParts(out: Writable, pieces: readonly AnswerPiece[]): Promise<void> {
  for (const piece of pieces) {
    if (piece instanceof Uint8Array) out.write(piece)
    else
      for (const part of piece.parts()) {
        await new Promise<void>((resolve) => out.write(part, () => setImmediate(resolve)))
        if (out.destroyed) return
      }
  }
}
