// The audit trail's promise under kill -9: a real gateway under load is killed at random moments, again and again, on one folder.
// Afterwards every call that was answered has its result, every call that the upstream saw its intent, and the chain is whole.
// TORTURE_KILLS: how many (default 300). TORTURE_SECONDS: begin no further kill after so long, however few there were (default: no bound).
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { createAuditKeys } from '../../src/audit/audit-keys.ts'
import { listFiles } from '../../src/audit/file-names.ts'
import { linesOf, openTrailFile, readBlocks } from '../../src/audit/read-blocks.ts'
import { verifyTrail } from '../../src/audit/verify.ts'

const MAIN = join(import.meta.dirname, '..', '..', 'src', 'main.ts')
const KILLS = Number(process.env.TORTURE_KILLS ?? 300)
const SECONDS = Number(process.env.TORTURE_SECONDS ?? Number.POSITIVE_INFINITY)
const STRICT_SHARE = 0.2
/** On a machine that is very slow; the load is there long before. */
const LOAD_WITHIN_MS = 20_000
const LOAD = 16
const KEY = Buffer.alloc(32, 7)

/** The same for the same seed, so that a failure can be told again. */
function createRandom(seed: number): () => number {
  let state = seed
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state / 2 ** 32
  }
}

async function anUpstream(t: TestContext) {
  const seen = new Set<string>()
  const server = createServer((incoming, response) => {
    seen.add((incoming.url ?? '').slice(1))
    response.end('{"ok":true}')
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.after(() => {
    server.closeAllConnections()
    server.close()
  })
  return { seen, origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}` }
}

function anInstallation(t: TestContext, origin: string, durability: string) {
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-torture-'))
  t.after(() => rmSync(folder, { recursive: true, force: true }))
  const config = join(folder, 'sallyport.yaml')
  writeFileSync(join(folder, 'audit.key'), `k1:${KEY.toString('base64')}\n`)
  const adapter = { name: 'up', mount: `${origin}/`, egress: { allow: ['127.0.0.0/8'] }, breaker: 'off', retry: 'off' }
  const audit = { durability, keyFile: 'audit.key', fileSize: '64KiB' }
  const settings = { listen: { port: 0 }, dataDir: join(folder, 'data'), log: { level: 'fatal' }, audit, adapters: [adapter] }
  writeFileSync(config, JSON.stringify(settings))
  const start = (): ChildProcess => {
    const child = fork(MAIN, ['--config', config], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
    t.after(() => void child.kill('SIGKILL'))
    return child
  }
  return { audit: join(folder, 'data', 'audit'), start }
}

async function portOf(child: ChildProcess): Promise<number> {
  const ended = once(child, 'exit').then(([code, signal]) => assert.fail(`the gateway ended at its start: ${code ?? signal}`))
  const [message] = (await Promise.race([once(child, 'message'), ended])) as [{ port: number }]
  ended.catch(() => {}) // it ends in time
  return message.port
}

/** `calls`: true for each that was answered in full. Ends with the process. */
async function killUnderLoad(child: ChildProcess, calls: (port: number, agent: Agent) => Promise<boolean>, random: () => number) {
  const port = await portOf(child)
  const agent = new Agent({ keepAlive: true, maxSockets: LOAD })
  let alive = true
  let answered = 0
  const caller = async (): Promise<void> => {
    while (alive) {
      if (await calls(port, agent)) answered++
      else await sleep(1)
    }
  }
  const callers = Array.from({ length: LOAD }, caller)
  const end = performance.now() + LOAD_WITHIN_MS
  while (answered < 10 && performance.now() < end) await sleep(5)
  await sleep(random() * 100)
  await kill(child)
  alive = false
  await Promise.all(callers)
  agent.destroy()
}

async function kill(child: ChildProcess): Promise<void> {
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

/** Resolves with true where an answer came whole. */
function call(port: number, agent: Agent, id: string, origin: string): Promise<boolean> {
  return new Promise((resolve) => {
    const headers = { 'content-type': 'application/json', 'x-request-id': id }
    const outgoing = request({ host: '127.0.0.1', port, path: '/v1/requests', method: 'POST', agent, headers }, (response) => {
      response.on('end', () => resolve(response.complete && response.statusCode === 200))
      response.on('error', () => resolve(false))
      response.resume()
    })
    outgoing.on('error', () => resolve(false))
    outgoing.end(JSON.stringify({ url: `${origin}/${id}` }))
  })
}

async function recordsOf(folder: string): Promise<{ intents: Set<string>; results: Set<string> }> {
  const intents = new Set<string>()
  const results = new Set<string>()
  for (const file of listFiles(folder)) {
    const reader = await openTrailFile(folder, file)
    for await (const block of readBlocks(reader, 0))
      for (const { line } of linesOf(block)) {
        const { kind, id } = JSON.parse(line.toString()) as { kind: string; id: string }
        if (kind === 'intent') intents.add(id)
        if (kind === 'result') results.add(id)
      }
    await reader.close()
  }
  return { intents, results }
}

for (const [durability, share] of [
  ['process', 1 - STRICT_SHARE],
  ['strict', STRICT_SHARE],
] as const) {
  const most = Math.ceil(KILLS * share)
  test(`${durability}: through kill after kill no answered call is without its result, none that was sent without its intent`, {
    timeout: 60_000 + most * 10_000,
  }, async (t) => {
    const random = createRandom(4711)
    const { origin, seen } = await anUpstream(t)
    const { start, audit } = anInstallation(t, origin, durability)
    const answered = new Set<string>()
    let number = 0
    const calls = async (port: number, agent: Agent): Promise<boolean> => {
      const id = `c-${number++}`
      const well = await call(port, agent, id, origin)
      if (well) answered.add(id)
      return well
    }
    const end = performance.now() + SECONDS * share * 1000
    const kills = { loaded: 0, starting: 0 }
    while (kills.loaded + kills.starting < most && (kills.loaded === 0 || performance.now() < end) && !t.signal.aborted) {
      const child = start()
      if (random() < 0.8) {
        await killUnderLoad(child, calls, random)
        kills.loaded++
      } else {
        // While it starts: before, in and after the repair of the trail's end.
        await sleep(random() * 1000)
        await kill(child)
        kills.starting++
      }
      // What a power cut would leave of a write that was under way.
      const newest = existsSync(audit) ? listFiles(audit).at(-1) : undefined
      if (newest && random() < 0.5)
        appendFileSync(join(audit, newest.name), `{"seq":99,"kind":"result","id":"torn"}\n{"kind":"blo`)
    }
    const child = start()
    await portOf(child)
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    await exited
    t.diagnostic(
      `${kills.loaded} kills under load and ${kills.starting} at a start: ${answered.size} answered, ${seen.size} sent`,
    )
    const { intents, results } = await recordsOf(audit)
    assert.ok(answered.size >= kills.loaded * 10, 'there was no load')
    assert.deepEqual(
      [...answered].filter((id) => !results.has(id)),
      [],
      'answered, and without a result',
    )
    assert.deepEqual(
      [...seen].filter((id) => !intents.has(id)),
      [],
      'sent, and without an intent',
    )
    assert.equal(results.has('torn'), false)
    const { ok, chains } = await verifyTrail({ folder: audit, keys: createAuditKeys([{ id: 'k1', key: KEY }]) })
    assert.deepEqual([ok, chains.flatMap(({ findings }) => findings)], [true, []])
    t.diagnostic(`${chains[0]?.blocks} blocks in ${chains[0]?.files} files`)
  })
}
