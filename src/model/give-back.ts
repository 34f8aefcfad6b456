// Memory of large bodies given back by hand, in the places that know that nobody looks at it any more. V8 collects all garbage
// of the process, code included, each time that buffers came to hold 64 MiB more: after a few large bodies, for 30 ms.

/** Smaller ones cost less to collect than to give back. */
const LEAST = 16 * 1024

/** Whoever still looks at it finds it empty, never another call's bytes. Nothing may be on its way from it to a socket. */
export function giveBack({ buffer }: Uint8Array): void {
  if (!(buffer instanceof ArrayBuffer) || buffer.byteLength < LEAST) return
  try {
    buffer.transfer(0)
  } catch {
    // Node's pool of small buffers, which belongs to all, refuses.
  }
}
