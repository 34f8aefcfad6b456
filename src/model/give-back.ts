// Memory of large bodies given back by hand, in the places that know that nobody looks at it any more. V8 collects all garbage
// of the process, code included, each time that buffers came to hold 64 MiB more: after a few large bodies, for 30 ms. The
// larger ones are kept a moment for the next body: to get 10 MB from the kernel and to return them takes up to 20 ms.

/** Smaller ones cost less to collect than to give back. */
const LEAST = 16 * 1024
/** Smaller ones are not kept: the allocator has them at hand itself. */
const KEPT_LEAST = 128 * 1024
/** Kept at most, all together, bytes. */
const KEPT_MOST = 64 * 1024 * 1024
/** Bytes that go back to the kernel at once, or one memory that is larger: each takes its while. */
const RELEASED_MOST = 8 * 1024 * 1024

/** One event loop has one memory, so there is one list. The longest kept first, which is the last to be taken. */
const kept: ArrayBuffer[] = []
let keptBytes = 0
/** How many of them nobody took since it was last asked for spare ones. */
let spare = 0

/** Whoever still looks at it finds it empty, never another call's bytes. Nothing may be on its way from it to a socket. */
export function giveBack({ buffer }: Uint8Array): void {
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength < LEAST) return
  const { byteLength } = buffer
  try {
    if (byteLength < KEPT_LEAST || keptBytes + byteLength > KEPT_MOST) buffer.transfer(0)
    else keep(buffer.transfer())
  } catch {
    // Node's pool of small buffers, which belongs to all, refuses.
  }
}

/** At least so many bytes, of whatever content, in a memory that nobody else looks at. */
export function takeMemory(bytes: number): Buffer {
  const index = kept.findLastIndex(({ byteLength }) => byteLength >= bytes && byteLength * 0.8 <= bytes)
  const found = index < 0 ? undefined : kept.splice(index, 1)[0]
  if (found === undefined) return Buffer.allocUnsafeSlow(bytes)
  keptBytes -= found.byteLength
  spare = Math.min(spare, kept.length)
  return Buffer.from(found)
}

function keep(memory: ArrayBuffer): void {
  kept.push(memory)
  keptBytes += memory.byteLength
}

/** To be called now and then: lets go of what was not needed since the last time, part by part. */
export function releaseSpare(): void {
  for (let released = 0; spare > 0 && released < RELEASED_MOST; spare--) {
    const memory = kept.shift() as ArrayBuffer
    released += memory.byteLength
    keptBytes -= memory.byteLength
    memory.transfer(0)
  }
  if (spare === 0) spare = kept.length
}
