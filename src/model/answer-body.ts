// The bytes of an answer's body, UTF-8. A small one is a string with a character a byte (latin1): joined with what stands around it and
// written together with the head, it never becomes a Buffer, which would cost as much as the rest of the envelope.

/** Every character of the string is a byte of UTF-8, so that its length is the body's. Large ones are pieces, written one after the other. */
export type AnswerBody = string | readonly Uint8Array[]

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

export function piecesOf(body: AnswerBody): readonly Uint8Array[] {
  return typeof body === 'string' ? [Buffer.from(body, 'latin1')] : body
}

/** For those who read an answer themselves. */
export function bodyText(body: AnswerBody): string {
  return Buffer.concat(piecesOf(body)).toString()
}
