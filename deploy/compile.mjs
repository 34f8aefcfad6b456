// Compiles the gateway ahead of its first start, so that this one takes no longer than later ones; src/main.ts finds the result.
import { enableCompileCache, flushCompileCache } from 'node:module'
import { join } from 'node:path'

enableCompileCache(join(import.meta.dirname, '..', 'node_modules', '.cache', 'compile'))
await import('../src/serve.ts')
flushCompileCache()
