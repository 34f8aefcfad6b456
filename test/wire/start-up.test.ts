// What a start loads: a command that needs no gateway loads none, and the gateway finds its compiled code of the last start again.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { makeFolder } from '../support/wire.ts'

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url))
const WATCH = `import { registerHooks } from 'node:module'
registerHooks({
  load(url, context, next) {
    const loaded = url.match(/node_modules\\/([^@/][^/]*)|src\\/(?:cli\\/)?(app|serve|operate|commands)\\.ts$/)
    if (loaded) process.stderr.write('loaded ' + (loaded[1] ?? loaded[2]) + '\\n')
    return next(url, context)
  },
})`

function loadedBy(args: readonly string[], exitCode = 0): Set<string> {
  const hook = `data:text/javascript,${encodeURIComponent(WATCH)}`
  const { status, stderr } = spawnSync(process.execPath, ['--import', hook, MAIN, ...args], { encoding: 'utf8' })
  assert.equal(status, exitCode, stderr)
  return new Set([...stderr.matchAll(/^loaded (.+)$/gm)].map(([, name = '']) => name))
}

test('making a key loads no gateway', () => {
  const loaded = loadedBy(['keys', 'generate'])
  assert.ok(loaded.has('commander'))
  for (const name of ['app', 'serve', 'operate', 'express', 'undici', 'prom-client', 'ioredis', 'pino', 'pino-pretty'])
    assert.ok(!loaded.has(name), name)
})

test('a gateway loads no other command, and nothing for Redis or tokens before these are configured', () => {
  const loaded = loadedBy(['--config', '/there/is/none.yaml'], 1)
  for (const name of ['app', 'serve', 'express', 'undici']) assert.ok(loaded.has(name), name)
  for (const name of ['commands', 'operate', 'ioredis', 'jose', 'pino-pretty']) assert.ok(!loaded.has(name), name)
})

test('a gateway that is compiled ahead finds its code at the first start', (t) => {
  const folder = makeFolder({})
  t.after(folder.remove)
  const env = { ...process.env, NODE_COMPILE_CACHE: folder.path('compiled'), NODE_DEBUG_NATIVE: 'COMPILE_CACHE' }
  const run = (...args: string[]): string =>
    spawnSync(process.execPath, args, { encoding: 'utf8', env, cwd: folder.path('.') }).stderr
  const accepted = (log: string): number => log.match(/code cache for .* was accepted/g)?.length ?? 0
  run(fileURLToPath(new URL('../../deploy/compile.mjs', import.meta.url)))
  const found = accepted(run(MAIN, '--config', '/there/is/none.yaml'))
  assert.ok(found > 300, `of ${found} files`)
})
