// Each way to tamper with a trail of days, of which some are compressed, as somebody would who has the files and not the key.
import assert from 'node:assert/strict'
import { copyFileSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import type { ChainEnd } from '../../../src/audit/chain-writer.ts'
import { compressOld } from '../../../src/audit/compress.ts'
import { compressMember } from '../../../src/audit/compressed-file.ts'
import { verifyTrail } from '../../../src/audit/verify.ts'
import { aTrailFolder, TRAIL_KEYS } from '../../support/trails.ts'

const DAY = 86_400_000
const DAYS = ['2026-01-01.jsonl', '2026-01-02.jsonl', '2026-01-03.jsonl', '2026-01-04.jsonl'] as const
const [FIRST, SECOND, THIRD, LAST] = DAYS

/** Three calls a day; the first two days are compressed. */
async function aTrail(t: TestContext, days: number = DAYS.length) {
  const { folder, time, open, call } = aTrailFolder(t)
  const chain = open()
  for (let day = 0; day < days; day++) {
    for (let count = 0; count < 3; count++) call(chain, { id: `r-${day}-${count}` })
    if (day + 1 < days) time.now += DAY
  }
  const end = chain.end()
  assert.ok(end)
  chain.close()
  await compressOld(folder, { now: time.now, afterMs: DAY })
  const path = (name: string): string => {
    const compressed = join(folder, `${name}.gz`)
    return readdirSync(folder).includes(`${name}.gz`) ? compressed : join(folder, name)
  }
  const edit = async (name: string, change: (lines: string[]) => string[]): Promise<void> => {
    const at = path(name)
    const bytes = readFileSync(at)
    const lines = (at.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8').split('\n').slice(0, -1)
    const changed = Buffer.from(
      change(lines)
        .map((line) => `${line}\n`)
        .join(''),
    )
    writeFileSync(at, at.endsWith('.gz') ? await compressMember(changed) : changed)
  }
  const move = (from: string, to: string): void => renameSync(path(from), path(from).replace(from, to))
  const verify = async (checkpoints: readonly ChainEnd[] = []) => {
    const { ok, chains } = await verifyTrail({ folder, keys: TRAIL_KEYS, checkpoints })
    return { ok, findings: chains.flatMap(({ findings }) => findings).map(({ kind, file }) => `${kind} ${file}`) }
  }
  return { folder, path, edit, move, verify, end }
}

test('nothing is found in a trail that nobody touched', async (t) => {
  const { verify, end, folder } = await aTrail(t)
  assert.deepEqual(
    readdirSync(folder)
      .filter((name) => name.includes('json'))
      .sort(),
    [`${FIRST}.gz`, `${SECOND}.gz`, THIRD, LAST],
  )
  assert.deepEqual(await verify([end]), { ok: true, findings: [] })
})

/** Lines of a day: a record and its block's line in turns. */
const LINES: [name: string, change: (lines: string[]) => string[], found: string][] = [
  ['a removed line', (lines) => lines.toSpliced(4, 1), 'missing'],
  ['a removed block', (lines) => lines.toSpliced(4, 2), 'missing'],
  ['two swapped lines', (lines) => lines.with(4, lines[6] ?? '').with(6, lines[4] ?? ''), 'missing'],
  [
    'two swapped blocks',
    (lines) => [...lines.slice(0, 4), ...lines.slice(6, 8), ...lines.slice(4, 6), ...lines.slice(8)],
    'missing',
  ],
  ['an edited byte', (lines) => lines.with(4, (lines[4] ?? '').replace('billing', 'billinG')), 'changed'],
  [
    'an edited byte of a MAC',
    (lines) =>
      lines.with(
        5,
        (lines[5] ?? '').replace(/"mac":"(.)/, (_, letter) => `"mac":"${letter === 'A' ? 'B' : 'A'}`),
      ),
    'changed',
  ],
  ['a record twice', (lines) => lines.toSpliced(4, 0, lines[4] ?? ''), 'order'],
]
for (const [name, change, found] of LINES)
  for (const [which, day] of [
    ['a compressed day', SECOND],
    ['a plain day', THIRD],
    ['the last day', LAST],
  ] as const)
    test(`${name} of ${which} is found there`, async (t) => {
      const { edit, verify } = await aTrail(t)
      await edit(day, change)
      const { ok, findings } = await verify()
      assert.equal(ok, false)
      assert.ok(findings.includes(`${found} ${day}`), findings.join())
    })

describe('a tail that was cut off between two blocks', () => {
  for (const [which, day] of [
    ['a compressed day', SECOND],
    ['a plain day', THIRD],
  ] as const)
    test(`is found by the day after it: ${which}`, async (t) => {
      const { edit, verify } = await aTrail(t)
      await edit(day, (lines) => lines.slice(0, -2))
      assert.equal((await verify()).ok, false)
    })

  test('of the last day is found by a checkpoint', async (t) => {
    const { edit, verify, end } = await aTrail(t)
    await edit(LAST, (lines) => lines.slice(0, -2))
    assert.deepEqual(await verify([end]), { ok: false, findings: [`cut ${LAST}`] })
  })
})

describe('a checkpoint that was put in the place of another', () => {
  const REPLACED: [name: string, replace: (end: ChainEnd) => ChainEnd, found: string][] = [
    ['with another MAC', (end) => ({ ...end, mac: 'A'.repeat(43) }), `changed ${LAST}`],
    ['of a later record', (end) => ({ ...end, seq: end.seq + 1 }), `cut ${LAST}`],
    ['of an earlier record with the MAC of a later one', (end) => ({ ...end, seq: end.seq - 1 }), `changed ${LAST}`],
    ['of another chain', (end) => ({ ...end, chain: '0123456789ab' }), `cut ${LAST}`],
  ]
  for (const [name, replace, found] of REPLACED)
    test(name, async (t) => {
      const { verify, end } = await aTrail(t)
      assert.deepEqual(await verify([replace(end)]), { ok: false, findings: [found] })
    })
})

describe('a removed day', () => {
  for (const day of [FIRST, SECOND, THIRD])
    test(day, async (t) => {
      const { path, verify } = await aTrail(t)
      rmSync(path(day))
      assert.equal((await verify()).ok, false)
    })

  test(`${LAST}, the newest, by a checkpoint`, async (t) => {
    const { path, verify, end } = await aTrail(t)
    rmSync(path(LAST))
    assert.deepEqual(await verify([end]), { ok: false, findings: [`cut ${THIRD}`] })
  })
})

describe('a renamed day is named', () => {
  const RENAMED: [from: string, to: string][] = [
    [FIRST, '2025-12-31.jsonl'],
    [SECOND, '2026-01-02.2.jsonl'],
    [THIRD, '2025-12-30.jsonl'],
    [LAST, '2026-01-09.jsonl'],
    [LAST, '2026-01-03.2.jsonl'],
  ]
  for (const [from, to] of RENAMED)
    test(`${from} as ${to}`, async (t) => {
      const { move, verify } = await aTrail(t)
      move(from, to)
      const { ok, findings } = await verify()
      assert.equal(ok, false)
      assert.ok(findings.includes(`link ${to}`), findings.join())
    })

  test('where it is the only one', async (t) => {
    const { move, verify } = await aTrail(t, 1)
    move(FIRST, LAST)
    assert.deepEqual(await verify(), { ok: false, findings: [`link ${LAST}`] })
  })

  test('where two changed places', async (t) => {
    const { move, verify } = await aTrail(t)
    move(THIRD, 'aside.jsonl')
    move(LAST, THIRD)
    move('aside.jsonl', LAST)
    const { findings } = await verify()
    assert.ok(findings.includes(`link ${THIRD}`) && findings.includes(`link ${LAST}`), findings.join())
  })
})

describe('a copy of a day is named', () => {
  for (const [from, to] of [
    [SECOND, '2026-01-02.2.jsonl'],
    [THIRD, '2026-01-09.jsonl'],
    [LAST, '2026-01-05.jsonl'],
    [LAST, `acts-${LAST}`],
  ] as const)
    test(`${from} as ${to}`, async (t) => {
      const { path, verify } = await aTrail(t)
      copyFileSync(path(from), path(from).replace(from, to))
      const { ok, findings } = await verify()
      assert.equal(ok, false)
      assert.ok(findings.includes(`link ${to}`), findings.join())
    })
})

describe('a day that stands there plain and compressed', () => {
  test('is right where the two are alike, as a crash leaves them', async (t) => {
    const { path, folder, verify } = await aTrail(t)
    writeFileSync(join(folder, FIRST), gunzipSync(readFileSync(path(FIRST))))
    assert.deepEqual(await verify(), { ok: true, findings: [] })
  })

  for (const [which, change] of [
    ['one record', (text: string) => text.replace('billing', 'billinG')],
    ['its length', (text: string) => text.slice(0, -1)],
  ] as const)
    test(`is told where the compressed one differs in ${which}`, async (t) => {
      const { path, folder, verify } = await aTrail(t)
      const text = gunzipSync(readFileSync(path(FIRST))).toString('utf8')
      writeFileSync(join(folder, FIRST), text)
      writeFileSync(join(folder, `${FIRST}.gz`), await compressMember(Buffer.from(change(text))))
      assert.deepEqual(await verify(), { ok: false, findings: [`changed ${FIRST}`] })
    })

  test('is told where the compressed one cannot be read', async (t) => {
    const { folder, verify } = await aTrail(t)
    writeFileSync(join(folder, `${LAST}.gz`), 'no such thing')
    assert.deepEqual(await verify(), { ok: false, findings: [`changed ${LAST}`] })
  })
})
