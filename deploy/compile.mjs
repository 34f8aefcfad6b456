// Compiles the gateway ahead of its first start, so that this one takes no longer than later ones; src/main.ts finds the result. Run
// as the user who will start it: Node keeps compiled code for each apart.
import { existsSync } from 'node:fs'
import { enableCompileCache, flushCompileCache } from 'node:module'
import { join } from 'node:path'

const root = join(import.meta.dirname, '..')
enableCompileCache(join(root, 'node_modules', '.cache', 'compile'))
await import(existsSync(join(root, 'src', 'serve.ts')) ? '../src/serve.ts' : '../src/serve.js')
flushCompileCache()
