// The thread in which the gateway's trail is indexed, searched and compressed, so that no call waits for any of it.
import { parentPort, workerData } from 'node:worker_threads'
import { GatewayError } from '../errors/gateway-error.ts'
import type { AuditPageQuery } from '../model/audit-search.ts'
import { compressOld } from './compress.ts'
import { type KeeperPorts, keepIndex } from './keep-index.ts'
import { openTrailSearch } from './search.ts'
import type { Answer, WorkerSettings } from './search-thread.ts'
import { createSpareTime } from './spare-time.ts'

const { folder, indexFile, compressAfterMs } = workerData as WorkerSettings
/** While the index is made, a search answers as far as it goes. */
const search = openTrailSearch(folder, indexFile, { waitMs: 1000 })
const answer = (message: Answer): void => parentPort?.postMessage(message)

parentPort?.on('message', ({ number, query }: { number: number; query: AuditPageQuery }) => {
  keeper.searched()
  search.search(query).then(
    (page) => answer({ number, page }),
    (error: unknown) => {
      const known = error instanceof GatewayError
      answer({ number, error: { type: known ? error.type : null, message: (error as Error).message } })
    },
  )
})

const clock: KeeperPorts['clock'] = {
  now: () => performance.now(),
  after(ms, callback) {
    const timer = setTimeout(callback, ms)
    return () => clearTimeout(timer)
  },
}
const keeper = keepIndex(search, { clock, hasTimeToSpare: createSpareTime() })

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
