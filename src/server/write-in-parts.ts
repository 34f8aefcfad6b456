// Writes an answer of which a piece is made while it is written: each part when the one before it is with the kernel, and others
// had their turn between.
import type { ServerResponse } from 'node:http'
import type { AnswerPiece } from '../model/answer-body.ts'

/** Resolves when all is handed over, or the connection is gone. */
export async function writeInParts(res: ServerResponse, pieces: readonly AnswerPiece[]): Promise<void> {
  for (const piece of pieces) {
    if (piece instanceof Uint8Array) res.write(piece)
    else
      for (const part of piece.parts()) {
        await new Promise<void>((resolve) => res.write(part, () => setImmediate(resolve)))
        if (res.destroyed) return
      }
  }
  res.end()
}
