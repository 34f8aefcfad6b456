#!/usr/bin/env node
// What is run: finds the compiled code of the last start again, and loads what the command needs and no more.
import { existsSync } from 'node:fs'
import { enableCompileCache, flushCompileCache } from 'node:module'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'

keepCompiled(join(import.meta.dirname, '..', 'node_modules'))
const { runCli } = await import('./cli/cli.ts')
const { env, stdin, stdout, stderr } = process
let serving = false
for (const stream of [stdout, stderr]) stream.on('error', readerGone)
process.exitCode = await runCli(process.argv.slice(2), {
  async serve(file, workers) {
    serving = true
    await (await import('./serve.ts')).serve(file, workers)
    // Now, and not at an exit that may be a kill.
    flushCompileCache()
    boundOldGeneration()
  },
  openStores: async (file) => (await import('./operate.ts')).openStoresOf(file),
  openTrail: async (from) => (await import('./operate.ts')).openTrailOf(from),
  ...{ interrupted, env, stdin, stdout, stderr },
})

/**
 * Within the installation or not at all: what others can write, this process must not run. Where it may not write there, it finds
 * what was compiled ahead (deploy/compile.mjs) and keeps nothing.
 */
function keepCompiled(modules: string): void {
  if (existsSync(modules)) enableCompileCache(join(modules, '.cache', 'compile'))
}

/**
 * What waits for an upstream outlives a few scavenges and ends as garbage of the old generation, which V8 lets grow to four times
 * of what is alive before it collects; here to twice. Not before all is loaded: a start would collect more, and compiled code is
 * found again only under the flags that it was compiled with.
 */
function boundOldGeneration(): void {
  setFlagsFromString('--heap-growing-percent=100')
}

function interrupted(): AbortSignal {
  const controller = new AbortController()
  process.once('SIGINT', () => controller.abort())
  return controller.signal
}

/** `sallyport … | head`: whoever read has what it wanted, so that a command ends; a gateway goes on. */
function readerGone(error: NodeJS.ErrnoException): void {
  if (error.code !== 'EPIPE') throw error
  if (!serving) process.exit()
}
