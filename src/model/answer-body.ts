// The bytes of an answer's body, UTF-8. A small one is a string with a character a byte (latin1): joined with what stands around it and
// written together with the head, it never becomes a Buffer, which would cost as much as the rest of the envelope.

/** Every character of the string is a byte of UTF-8, so that its length is the body's. Large ones are pieces, written one after the other. */
export type AnswerBody = string | readonly AnswerPiece[]

export type AnswerPiece = Uint8Array | LatePiece

/** Bytes that are made only while they are written, so that they are never there as a whole. */
export interface LatePiece {
  readonly length: number
  /** In order. Each part lies where the one before it lay: the next is to be asked for only when that was copied, or is with the kernel. */
  parts(): Iterable<Uint8Array>
}

/** No piece of it is made late. */
function isAllBytes(pieces: readonly AnswerPiece[]): pieces is readonly Uint8Array[] {
  for (const piece of pieces) if (!(piece instanceof Uint8Array)) return false
  return true
}

/** Text as UTF-8, a character a byte. Almost all that we write ourselves is ASCII and stays the string it is. */
export function byteText(text: string): string {
  return Buffer.byteLength(text) === text.length ? text : Buffer.from(text).toString('latin1')
}

/** In bytes. */
export function lengthOf(body: AnswerBody): number {
  if (typeof body === 'string') return body.length
  let total = 0
  for (const piece of body) total += piece.length
  return total
}

/** All of it at once. */
export function piecesOf(body: AnswerBody): readonly Uint8Array[] {
  if (typeof body === 'string') return [Buffer.from(body, 'latin1')]
  return isAllBytes(body) ? body : body.map(wholeOf)
}

function wholeOf(piece: AnswerPiece): Uint8Array {
  if (piece instanceof Uint8Array) return piece
  const whole = Buffer.allocUnsafeSlow(piece.length)
  let at = 0
  for (const part of piece.parts()) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** For those who read an answer themselves. */
export function bodyText(body: AnswerBody): string {
  return Buffer.concat(piecesOf(body)).toString()
}
