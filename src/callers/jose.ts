// jose, loaded by the first token: most gateways know their callers by keys, and a start should not wait for what is not used.
import { createRequire } from 'node:module'

type Jose = typeof import('jose')

const require = createRequire(import.meta.url)
let loaded: Jose | null = null

export function jose(): Jose {
  loaded ??= require('jose') as Jose
  return loaded
}
