// Bytes as base64 text in one pass: no string of the whole, which a large body would have twice over.

/** A multiple of three; what comes of it is a short string that is copied while it is in the processor's cache. */
const STEP = 24 * 1024

/** ASCII. */
export function base64Of(bytes: Buffer): Buffer {
  if (bytes.length <= STEP) return Buffer.from(bytes.toString('base64'), 'latin1')
  const encoded = Buffer.allocUnsafeSlow(Math.ceil(bytes.length / 3) * 4)
  let at = 0
  for (let start = 0; start < bytes.length; start += STEP)
    at += encoded.write(bytes.toString('base64', start, start + STEP), at, 'latin1')
  return encoded
}
