import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { createActLog } from '../../../src/audit/acts.ts'
import { createAuditKeys } from '../../../src/audit/audit-keys.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'

const START = Date.UTC(2026, 0, 1, 12)

function aFolder(t: TestContext) {
  const dataDir = mkdtempSync(join(tmpdir(), 'acts-'))
  t.after(() => rmSync(dataDir, { recursive: true, force: true }))
  const keys = createAuditKeys([{ id: 'k', key: Buffer.alloc(32, 1) }])
  const acts = createActLog({ dataDir, clock: { date: () => START }, keys, who: 'ann', detail: { host: 'desk' } })
  const lines = () =>
    readdirSync(join(dataDir, 'audit'))
      .filter((name) => name.startsWith('acts-'))
      .flatMap((name) =>
        readFileSync(join(dataDir, 'audit', name), 'utf8')
          .trimEnd()
          .split('\n'),
      )
      .map((line) => JSON.parse(line) as Record<string, unknown>)
      .filter(({ kind }) => kind === 'act')
  return { dataDir, acts, lines }
}

test('an act is on record before it is done, and afterwards how it ended', async (t) => {
  const { acts, lines, dataDir } = aFolder(t)
  const during = await acts.act('secret.set', 'github', async () => lines().map(({ phase }) => phase), { scheme: 'bearer' })
  assert.deepEqual(during, ['begun'])
  const [begun, ended] = lines()
  assert.deepEqual(
    { ...begun, id: null },
    {
      ...{
        seq: 1,
        at: '2026-01-01T12:00:00.000Z',
        kind: 'act',
        id: null,
        who: 'ann',
        via: 'cli',
        act: 'secret.set',
        subject: 'github',
      },
      ...{ phase: 'begun', error: null, detail: { host: 'desk', scheme: 'bearer' } },
    },
  )
  assert.deepEqual(ended, { ...begun, seq: 2, phase: 'ended' })
  assert.equal(statSync(join(dataDir, 'audit', 'acts-2026-01-01.jsonl')).mode & 0o777, 0o600)
})

for (const [thrown, error] of [
  [new Error('no'), 'Failed'],
  [new GatewayError('Overloaded', 'no'), 'Overloaded'],
] as const)
  test(`an act that fails with ${thrown.name} fails as it did, and is recorded as ${error}`, async (t) => {
    const { acts, lines } = aFolder(t)
    await assert.rejects(
      acts.act('secret.delete', 'x', () => Promise.reject(thrown)),
      thrown,
    )
    assert.deepEqual(
      lines().map(({ phase, error }) => [phase, error]),
      [
        ['begun', null],
        ['ended', error],
      ],
    )
  })

test('an act that cannot be recorded is not done', async (t) => {
  const { acts, dataDir } = aFolder(t)
  writeFileSync(join(dataDir, 'audit'), 'a file where the folder should be')
  let done = false
  const act = acts.act('secret.set', 'x', async () => {
    done = true
  })
  await assert.rejects(act, /cannot be recorded .*what is not recorded is not done/)
  assert.equal(done, false)
})

test('several processes that record at once take turns, and no number is given twice', async (t) => {
  const { dataDir, lines } = aFolder(t)
  const script = `
    import { createActLog } from ${JSON.stringify(new URL('../../../src/audit/acts.ts', import.meta.url).href)}
    import { createAuditKeys } from ${JSON.stringify(new URL('../../../src/audit/audit-keys.ts', import.meta.url).href)}
    const acts = createActLog({ dataDir: process.argv[1], clock: { date: () => ${START} }, keys: createAuditKeys([{ id: 'k', key: Buffer.alloc(32, 1) }]), who: 'bob', detail: {} })
    for (let i = 0; i < 5; i++) await acts.act('secret.set', 'x', async () => {})
  `
  const run = () =>
    spawn(process.execPath, ['--input-type=module', '-e', script, dataDir], { stdio: ['ignore', 'ignore', 'inherit'] })
  const codes = await Promise.all([run(), run(), run()].map(async (child) => (await once(child, 'exit'))[0]))
  assert.deepEqual(codes, [0, 0, 0])
  assert.deepEqual(new Set(lines().map(({ seq }) => seq)).size, 30)
})
