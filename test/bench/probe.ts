// Preloaded into a process under measurement: counts its decryptions, and looks how long its event loop is held. Tells on request
// over the process' channel.
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { isMainThread } from 'node:worker_threads'

const RESOLUTION_MS = 1

export interface Probed {
  /** Since the start. */
  readonly decryptions: number
  /** Since it was last asked: the longest time for which the event loop did not come round, ms. */
  readonly longestTurnMs: number
}

function install(): void {
  const decrypt = crypto.createDecipheriv
  let decryptions = 0
  crypto.createDecipheriv = ((...given: Parameters<typeof decrypt>) => {
    decryptions++
    return decrypt(...given)
  }) as typeof decrypt
  syncBuiltinESMExports()

  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS })
  delays.enable()
  process.on('message', (message) => {
    if (message !== 'probe') return
    process.send?.({ decryptions, longestTurnMs: Math.max(0, delays.max / 1e6 - RESOLUTION_MS) } satisfies Probed)
    delays.reset()
  })
  process.channel?.unref()
}

if (isMainThread) install()
