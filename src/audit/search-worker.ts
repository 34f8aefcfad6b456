// The thread in which the gateway's trail is indexed, searched and compressed, so that no call waits for any of it.
import { parentPort, workerData } from 'node:worker_threads'
import { GatewayError } from '../errors/gateway-error.ts'
import type { AuditPageQuery } from '../model/audit-search.ts'
import { compressOld } from './compress.ts'
import { openTrailSearch } from './search.ts'
import type { Answer, WorkerSettings } from './search-thread.ts'

const { folder, indexFile, followEveryMs, compressAfterMs } = workerData as WorkerSettings
/** While the index is made, a search answers as far as it goes. */
const search = openTrailSearch(folder, indexFile, { waitMs: 1000 })
const answer = (message: Answer): void => parentPort?.postMessage(message)

parentPort?.on('message', ({ number, query }: { number: number; query: AuditPageQuery }) => {
  search.search(query).then(
    (page) => answer({ number, page }),
    (error: unknown) => {
      const known = error instanceof GatewayError
      answer({ number, error: { type: known ? error.type : null, message: (error as Error).message } })
    },
  )
})

/** So long, ms, a search waits at most while the index is filled on its own. */
const TURN_MS = 200

/** A search then has little left to read. One that fails is tried again, and a search says what is wrong. */
const follow = (): void =>
  void search.catchUp(TURN_MS).then(
    (whole) => again(whole ? followEveryMs : 0),
    () => again(followEveryMs),
  )
const again = (ms: number): void => void setTimeout(follow, ms)
follow()

const COMPRESS_EVERY_MS = 3_600_000

async function compress(afterMs: number): Promise<void> {
  try {
    await compressOld(folder, { now: Date.now(), afterMs })
  } catch (error) {
    answer({ failed: (error as NodeJS.ErrnoException).code ?? (error as Error).name })
  }
  setTimeout(() => void compress(afterMs), COMPRESS_EVERY_MS)
}
if (compressAfterMs !== null) void compress(compressAfterMs)
