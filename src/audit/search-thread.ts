// The port to the searching thread: started when it is first needed or some time after the gateway, and again where it ended.
import { extname, join } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { ErrorType } from '../errors/catalogue.ts'
import { GatewayError } from '../errors/gateway-error.ts'
import type { AuditPage, AuditPageQuery, AuditSearch } from '../model/audit-search.ts'
import type { Clock, Logger } from '../model/ports.ts'
import { streamPages } from './stream-pages.ts'

export interface SearchThread extends AuditSearch {
  close(): Promise<void>
}

export interface SearchThreadOptions {
  readonly dataDir: string
  /** Files are compressed so long after their day has ended; null: never. */
  readonly compressAfterMs: number | null
  /** The thread begins to index so long after the gateway, unless a search comes first. Default 5000. */
  readonly startAfterMs?: number
}

export interface SearchThreadPorts {
  readonly clock: Pick<Clock, 'after'>
  readonly log: Logger
}

/** What the thread is started with. */
export interface WorkerSettings {
  readonly folder: string
  readonly indexFile: string
  readonly compressAfterMs: number | null
}

export interface Answer {
  /** Of the question. */
  readonly number?: number
  readonly page?: AuditPage
  readonly error?: { readonly type: ErrorType | null; readonly message: string }
  /** What nobody asked for could not be done: a code. */
  readonly failed?: string
}

export function createSearchThread(
  { dataDir, compressAfterMs, startAfterMs = 5000 }: SearchThreadOptions,
  { clock, log }: SearchThreadPorts,
): SearchThread {
  const waiting = new Map<number, PromiseWithResolvers<AuditPage>>()
  let worker: Worker | null = null
  let asked = 0
  let closed = false
  const stopTimer = clock.after(startAfterMs, () => void start())

  const lost = (): void => {
    worker = null
    for (const { reject } of waiting.values())
      reject(new GatewayError('Overloaded', 'the search of the audit trail broke off; try again'))
    waiting.clear()
  }

  function start(): Worker {
    if (worker) return worker
    stopTimer()
    const script = new URL(`./search-worker${extname(import.meta.url)}`, import.meta.url)
    const files = { folder: join(dataDir, 'audit'), indexFile: join(dataDir, 'audit-index.db') }
    const workerData: WorkerSettings = { ...files, compressAfterMs }
    const started = new Worker(script, { workerData })
    started.unref()
    started.on('message', ({ number, page, error, failed }: Answer) => {
      if (failed !== undefined) log.log('warn', 'audit housekeeping failed', { because: failed })
      if (number === undefined) return
      const ask = waiting.get(number)
      waiting.delete(number)
      if (page) ask?.resolve(page)
      else ask?.reject(error?.type ? new GatewayError(error.type, error.message) : new Error(error?.message))
    })
    started.on('error', lost)
    started.on('exit', () => worker === started && lost())
    worker = started
    return started
  }

  const search = (query: AuditPageQuery): Promise<AuditPage> => {
    if (closed) return Promise.reject(new GatewayError('Draining', 'the gateway is stopping'))
    const ask = Promise.withResolvers<AuditPage>()
    asked++
    waiting.set(asked, ask)
    start().postMessage({ number: asked, query })
    return ask.promise
  }

  return {
    search,
    stream: (query) => streamPages(search, query),
    async close() {
      closed = true
      stopTimer()
      await worker?.terminate()
    },
  }
}
