// Bytes as base64 text, without a string of the whole, which a large body would have twice over.
import type { AnswerPiece } from '../model/answer-body.ts'
import { giveBack, takeMemory } from '../model/give-back.ts'

/** A multiple of three; what comes of it is a short string that is copied while it is in the processor's cache. */
const STEP = 24 * 1024
/** Encoded at once; of more bytes the text is made while it is written. */
const PART = 8 * STEP

/** ASCII. */
export function base64Of(bytes: Buffer): AnswerPiece {
  const length = Math.ceil(bytes.length / 3) * 4
  if (bytes.length <= STEP) return Buffer.from(bytes.toString('base64'), 'latin1')
  if (bytes.length > PART) return { length, parts: () => partsOf(bytes) }
  const encoded = Buffer.allocUnsafeSlow(length)
  encode(bytes, 0, bytes.length, encoded)
  return encoded
}

function* partsOf(bytes: Buffer): Generator<Uint8Array, void> {
  const memory = takeMemory((PART / 3) * 4)
  for (let start = 0; start < bytes.length; start += PART)
    yield memory.subarray(0, encode(bytes, start, Math.min(start + PART, bytes.length), memory))
  giveBack(memory)
}

/** How much of `target` it fills. */
function encode(bytes: Buffer, start: number, end: number, target: Buffer): number {
  let at = 0
  for (let from = start; from < end; from += STEP)
    at += target.write(bytes.toString('base64', from, Math.min(from + STEP, end)), at, 'latin1')
  return at
}
