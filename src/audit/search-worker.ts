// The thread in which the gateway's trail is indexed and searched, so that no call waits for either.
import { parentPort, workerData } from 'node:worker_threads'
import { GatewayError } from '../errors/gateway-error.ts'
import type { AuditPageQuery } from '../model/audit-search.ts'
import { openTrailSearch } from './search.ts'

const { folder, indexFile, followEveryMs } = workerData as { folder: string; indexFile: string; followEveryMs: number }
const search = openTrailSearch(folder, indexFile)

parentPort?.on('message', ({ number, query }: { number: number; query: AuditPageQuery }) => {
  search.search(query).then(
    (page) => parentPort?.postMessage({ number, page }),
    (error: unknown) => {
      const known = error instanceof GatewayError
      parentPort?.postMessage({ number, error: { type: known ? error.type : null, message: (error as Error).message } })
    },
  )
})

/** A search then has little left to read. One that fails is tried again, and a search says what is wrong. */
const follow = (): void => void search.catchUp().then(again, again)
const again = (): void => void setTimeout(follow, followEveryMs)
follow()
