// The audit trail's promise under kill -9: a real gateway under load is killed at random moments, again and again, on one folder.
// Afterwards every call that was answered has its result, every call that the upstream saw its intent, and the chain is whole.
//   npm run test:torture     the same with hundreds of kills
import assert from 'node:assert/strict'
import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { appendFileSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
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
const KILLS = Number(process.env.TORTURE_KILLS ?? 10)
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
  const start = async (): Promise<{ child: ChildProcess; port: number }> => {
    const child = fork(MAIN, ['--config', config], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
    t.after(() => void child.kill('SIGKILL'))
    const [message] = (await once(child, 'message')) as [{ port: number }]
    return { child, port: message.port }
  }
  return { audit: join(folder, 'data', 'audit'), start }
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

for (const [durability, kills] of [
  ['process', KILLS],
  ['strict', Math.ceil(KILLS / 4)],
] as const)
  test(`${durability}: through ${kills} kills no answered call is without its result, none that was sent without its intent`, {
    timeout: 20_000 + kills * 10_000,
  }, async (t) => {
    const random = createRandom(4711)
    const { origin, seen } = await anUpstream(t)
    const { start, audit } = anInstallation(t, origin, durability)
    const answered = new Set<string>()
    let number = 0
    for (let kill = 0; kill < kills && !t.signal.aborted; kill++) {
      const { child, port } = await start()
      const agent = new Agent({ keepAlive: true, maxSockets: LOAD })
      let alive = true
      const caller = async (): Promise<void> => {
        while (alive) {
          const id = `c-${number++}`
          if (await call(port, agent, id, origin)) answered.add(id)
          else await sleep(1)
        }
      }
      const callers = Array.from({ length: LOAD }, caller)
      // Mostly under load, now and then before it has begun.
      const wanted = random() < 0.8 ? answered.size + 10 : 0
      for (let waited = 0; answered.size < wanted && waited < 5000; waited += 5) await sleep(5)
      await sleep(random() * 100)
      const exited = once(child, 'exit')
      child.kill('SIGKILL')
      await exited
      alive = false
      await Promise.all(callers)
      agent.destroy()
      // What a power cut would leave of a write that was under way.
      const newest = readdirSync(audit).filter((name) => name.endsWith('.jsonl')).length > 0 ? listFiles(audit).at(-1) : undefined
      if (newest && random() < 0.5)
        appendFileSync(join(audit, newest.name), `{"seq":99,"kind":"result","id":"torn"}\n{"kind":"blo`)
    }
    const { child } = await start()
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    await exited
    const { intents, results } = await recordsOf(audit)
    assert.ok(answered.size > kills * 3, `${answered.size} calls were answered`)
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
    t.diagnostic(`${answered.size} answered, ${seen.size} sent, ${chains[0]?.blocks} blocks in ${chains[0]?.files} files`)
  })
