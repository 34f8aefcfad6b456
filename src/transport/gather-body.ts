// A body put together as it comes off the wire, in one piece. Bytes are copied out of what was read as they come: what a socket
// reads into is then free for the next read, where keeping it would let every large body cost a collection of all garbage.
import { giveBack, takeMemory } from '../model/give-back.ts'

export interface GatheredBody {
  /** false: over the limit. */
  add(chunk: Buffer): boolean
  /** The last chunk was copied, and so were those before it. */
  isCopied(): boolean
  whole(): Buffer
  /** Nobody needs it any more. */
  discard(): void
}

/** As far as a declared length is believed before so much has come. */
const BELIEVED = 16 * 1024 * 1024
const NOTHING = Buffer.alloc(0)

/** `declaredBytes`: Content-Length; NaN where there is none. */
export function gatherBody(maxBytes: number, declaredBytes: number): GatheredBody {
  /** A body that came in one chunk is that chunk. */
  let bytes: Buffer = NOTHING
  let length = 0
  let isCopied = false

  const grow = (needed: number): void => {
    const believed = declaredBytes > needed ? Math.min(declaredBytes, BELIEVED) : 0
    const larger = takeMemory(Math.max(needed, believed, Math.min(2 * bytes.length, maxBytes)))
    bytes.copy(larger, 0, 0, length)
    if (isCopied) giveBack(bytes)
    bytes = larger
    isCopied = true
  }
  return {
    add(chunk) {
      const needed = length + chunk.length
      if (needed > maxBytes) return false
      if (length === 0 && !(declaredBytes > needed)) bytes = chunk
      else {
        if (needed > bytes.length || !isCopied) grow(needed)
        chunk.copy(bytes, length)
      }
      length = needed
      return true
    },
    // No getter: V8 gives every object with getters of its own a shape of its own, which takes longer to make than all the rest.
    isCopied: () => isCopied,
    whole: () => (bytes.length === length ? bytes : bytes.subarray(0, length)),
    discard() {
      if (isCopied) giveBack(bytes)
    },
  }
}
