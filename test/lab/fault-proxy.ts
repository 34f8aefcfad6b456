// A TCP proxy that spoils what passes through it, in either direction, switchable while connections are open: latency,
// bandwidth, slicing, black holes, cuts in the middle, slow closes, refusals. It knows bytes, not protocols.
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export interface Faults {
  /** Every byte arrives this much later, ms. */
  readonly latencyMs: number
  /** And up to this much later still, drawn for each piece; bytes keep their order. */
  readonly jitterMs: number
  /** null: unlimited. */
  readonly bytesPerSecond: number | null
  /** Pieces of at most so many bytes, each a write of its own; null: as they came. */
  readonly sliceBytes: number | null
  /** Bytes are swallowed while this lasts, and delivered when it ends, as a network that comes back would. */
  readonly blackHole: boolean
  /** After so many bytes in this direction the connection ends in the way of `cutBy`; null: never. */
  readonly cutAfterBytes: number | null
  /** reset: RST; end: FIN after what came before. */
  readonly cutBy: 'reset' | 'end'
  /** The end of the stream is passed on this much later, ms. */
  readonly slowCloseMs: number
}

export const NO_FAULTS: Faults = {
  latencyMs: 0,
  jitterMs: 0,
  bytesPerSecond: null,
  sliceBytes: null,
  blackHole: false,
  cutAfterBytes: null,
  cutBy: 'reset',
  slowCloseMs: 0,
}

/** up: from the client to the target; down: back. */
export type Direction = 'up' | 'down'

export interface FaultProxy {
  readonly port: number
  /** Replaces what was set for that direction, or for both. Holds from the next byte on, for open connections too. */
  set(faults: Partial<Faults>, direction?: Direction | 'both'): void
  /** New connections are reset as soon as they are accepted. */
  refuse(refusing: boolean): void
  /** Resets every open connection. */
  cut(): void
  /** No faults in either direction, nothing refused. */
  heal(): void
  readonly accepted: number
  readonly open: number
  close(): Promise<void>
}

/** Beyond it the sender is held back, as a full window would. */
const HELD_BYTES = 256 * 1024
/** How soon a black hole's end or another limit is noticed. */
const LOOK_MS = 10

export async function startFaultProxy(target: { readonly host?: string; readonly port: number }): Promise<FaultProxy> {
  const faults: Record<Direction, Faults> = { up: NO_FAULTS, down: NO_FAULTS }
  const pairs = new Set<readonly [Socket, Socket]>()
  let refusing = false
  let accepted = 0
  const server = createServer({ allowHalfOpen: true }, (client) => {
    accepted++
    client.on('error', () => {})
    if (refusing) return void client.resetAndDestroy()
    const upstream = connect({ port: target.port, host: target.host ?? '127.0.0.1', allowHalfOpen: true })
    const pair = [client, upstream] as const
    pairs.add(pair)
    const end = (): void => {
      pairs.delete(pair)
      pair.forEach(reset)
    }
    for (const socket of pair) socket.setNoDelay(true).on('error', end)
    void Promise.all([pump(client, upstream, () => faults.up, end), pump(upstream, client, () => faults.down, end)]).then(() =>
      pairs.delete(pair),
    )
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('the proxy does not listen on a port')
  const cut = (): void => {
    for (const pair of pairs) pair.forEach(reset)
    pairs.clear()
  }
  const set: FaultProxy['set'] = (given, direction = 'both') => {
    for (const way of ['up', 'down'] as const)
      if (direction === way || direction === 'both') faults[way] = { ...NO_FAULTS, ...given }
  }
  return {
    port: address.port,
    set,
    refuse(now) {
      refusing = now
    },
    cut,
    heal() {
      set({})
      refusing = false
    },
    get accepted() {
      return accepted
    },
    get open() {
      return pairs.size
    },
    async close() {
      cut()
      server.close()
      await once(server, 'close')
    },
  }
}

/** By RST, unless its end is on its way already: Node never closes the handle of a socket that is reset then, nor ends its process. */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy()
  else socket.resetAndDestroy()
}

interface Piece {
  readonly bytes: Buffer
  readonly cameAt: number
}

/** Carries one direction until its end, as the faults of each moment have it. `end` drops the whole connection. */
async function pump(from: Socket, to: Socket, faults: () => Faults, end: () => void): Promise<void> {
  const pieces: Piece[] = []
  let held = 0
  let ended = false
  let wake = (): void => {}
  from
    .on('data', (bytes: Buffer) => {
      pieces.push({ bytes, cameAt: performance.now() })
      held += bytes.length
      if (held > HELD_BYTES) from.pause()
      wake()
    })
    .on('end', () => {
      ended = true
      wake()
    })
    .on('close', () => wake())
  let passed = 0
  while (!from.destroyed && !to.destroyed) {
    const piece = pieces.shift()
    if (!piece) {
      if (ended) break
      await new Promise<void>((resolve) => {
        wake = resolve
      })
      continue
    }
    held -= piece.bytes.length
    if (held < HELD_BYTES && from.isPaused()) from.resume()
    const { latencyMs, jitterMs } = faults()
    await until(piece.cameAt + latencyMs + Math.random() * jitterMs)
    for (const slice of slices(piece.bytes, faults().sliceBytes)) {
      while (faults().blackHole && !to.destroyed) await until(performance.now() + LOOK_MS)
      const { cutAfterBytes, cutBy, bytesPerSecond } = faults()
      const room = cutAfterBytes === null ? slice.length : cutAfterBytes - passed
      if (room < slice.length) {
        to.write(slice.subarray(0, Math.max(0, room)), () => (cutBy === 'reset' ? end() : to.end(() => from.destroy())))
        return
      }
      if (to.destroyed) return
      if (!to.write(slice)) await Promise.race([once(to, 'drain'), once(to, 'close')]).catch(() => {})
      passed += slice.length
      if (bytesPerSecond !== null) await until(performance.now() + (slice.length / bytesPerSecond) * 1000)
    }
  }
  await until(performance.now() + faults().slowCloseMs)
  if (!to.destroyed) to.end()
}

/** A limited line carries small pieces evenly, not one block and then silence. */
function slices(bytes: Buffer, most: number | null): Buffer[] {
  const size = most ?? 16 * 1024
  return Array.from({ length: Math.ceil(bytes.length / size) }, (_, index) => bytes.subarray(index * size, (index + 1) * size))
}

async function until(at: number): Promise<void> {
  const ms = at - performance.now()
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms))
  else if (ms > -1) await Promise.resolve()
}
