import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { type AuditKeys, createAuditKeys, deriveAuditKeys } from '../../../src/audit/audit-keys.ts'
import { type ChainOptions, openChain } from '../../../src/audit/chain-writer.ts'
import { verifyTrail } from '../../../src/audit/verify.ts'

const START = Date.UTC(2026, 0, 1, 12)
const DAY = 86_400_000
const rawKey = (id: string, fill: number) => ({ id, key: Buffer.alloc(32, fill) })
const KEYS = createAuditKeys([rawKey('k1', 1)])
const FILE = '2026-01-01.jsonl'

const entry = (id: string) => ({
  kind: 'intent' as const,
  record: { id, caller: 'c', method: 'GET', url: 'https://h/', adapter: 'a', credential: null, tags: {} },
})

function aTrail(t: TestContext | null, over: Partial<ChainOptions> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'verify-'))
  t?.after(() => rmSync(folder, { recursive: true, force: true }))
  const time = { now: START }
  const open = (more: Partial<ChainOptions> = {}) =>
    openChain({ folder, writer: 'gateway', clock: { date: () => time.now }, keys: KEYS, ...over, ...more })
  /** Blocks of so many records each. */
  const fill = (...sizes: number[]) => {
    const chain = open()
    for (const size of sizes) chain.append(Array.from({ length: size }, (_, i) => entry(`r-${i}`)))
    const end = chain.end()
    chain.close()
    return end
  }
  const text = (name = FILE) => readFileSync(join(folder, name), 'utf8')
  const lines = (name = FILE) => text(name).split('\n').slice(0, -1)
  const put = (lines: readonly string[], name = FILE) => writeFileSync(join(folder, name), `${lines.join('\n')}\n`)
  const verify = async (keys: AuditKeys = KEYS, checkpoints: NonNullable<ReturnType<typeof fill>>[] = []) => {
    const { ok, chains } = await verifyTrail({ folder, keys, checkpoints })
    return { ok, chains, findings: chains.flatMap(({ findings }) => findings) }
  }
  return { folder, time, open, fill, text, lines, put, verify }
}

/** kind, first and last record concerned. */
const brief = ({ findings }: { findings: readonly { kind: string; records: { from: number; to: number } | null }[] }) =>
  findings.map(({ kind, records }) => [kind, records?.from, records?.to])

describe('a trail that nobody touched', () => {
  test('is right, over days, parts and restarts', async (t) => {
    const { fill, time, verify, folder } = aTrail(t, { fileBytes: 1500 })
    fill(1, 3, 2, 5)
    fill(1)
    time.now += 2 * DAY
    fill(4, 1)
    const { ok, chains } = await verify()
    assert.equal(ok, true)
    assert.deepEqual(
      chains.map(({ writer, records, blocks, first, last }) => [writer, records, blocks, first, last]),
      [['gateway', 17, 7, 1, 17]],
    )
    assert.deepEqual(readdirSync(folder).sort(), ['2026-01-01.2.jsonl', '2026-01-01.jsonl', '2026-01-03.jsonl'])
  })

  test('goes on in the newest file when the clock was put back a day', async (t) => {
    const { fill, time, verify, folder } = aTrail(t)
    fill(2)
    time.now -= DAY
    fill(2)
    assert.equal((await verify()).ok, true)
    assert.deepEqual(readdirSync(folder), [FILE])
  })

  test('a folder without a trail has no chains', async (t) => assert.deepEqual((await aTrail(t).verify()).chains, []))
})

describe('an edit is found and named', () => {
  const EDITS: [name: string, edit: (lines: string[]) => string[], found: unknown[]][] = [
    ['a changed record', (l) => l.with(3, (l[3] ?? '').replace('"caller":"c"', '"caller":"d"')), [['changed', 2, 4]]],
    ['a changed record of a block of one', (l) => l.with(6, (l[6] ?? '').replace('GET', 'PUT')), [['changed', 5, 5]]],
    ['a removed record', (l) => l.toSpliced(3, 1), [['missing', 3, 3]]],
    ['a removed block', (l) => l.toSpliced(2, 4), [['missing', 2, 4]]],
    ['an inserted record', (l) => l.toSpliced(3, 0, l[2] ?? ''), [['order', 2, 2]]],
    ['a record inserted with a number of its own', (l) => l.toSpliced(3, 0, '{"seq":99,"at":"x"}'), [['order', 99, 99]]],
    ['records in another order', (l) => l.with(3, l[4] ?? '').with(4, l[3] ?? ''), [['order', 2, 4]]],
    ['a block inserted twice', (l) => l.toSpliced(8, 0, ...l.slice(6, 8)), [['order', 5, 5]]],
    [
      'a MAC of somebody without the key',
      (l) => l.with(7, (l[7] ?? '').replace(/"mac":".{4}/, '"mac":"AAAA')),
      [
        ['changed', 5, 5],
        ['changed', 6, 7],
      ],
    ],
    [
      'a count that was changed',
      (l) => l.with(5, (l[5] ?? '').replace('"count":3', '"count":2')),
      [
        ['missing', 2, 2],
        ['order', 2, 2],
      ],
    ],
    [
      'the first block gone',
      (l) => l.slice(2),
      [
        ['link', 2, 4],
        ['changed', 2, 4],
      ],
    ],
  ]
  for (const [name, edit, found] of EDITS)
    test(name, async (t) => {
      const { fill, lines, put, verify } = aTrail(t)
      fill(1, 3, 1, 2)
      // Lines: 0 record 1, 1 block; 2-4 records 2-4, 5 block; 6 record 5, 7 block; 8-9 records 6-7, 10 block.
      put(edit(lines()))
      const outcome = await verify()
      assert.equal(outcome.ok, false)
      assert.deepEqual(brief(outcome), found, JSON.stringify(outcome.findings))
    })

  test('any edit of lines or bytes, wherever it is', async () => {
    const { fill, lines, put, verify, folder } = aTrail(null)
    fill(1, 3, 1, 2)
    const whole = lines()
    const at = fc.nat({ max: whole.length - 2 })
    const line = (index: number): string => whole[index] ?? ''
    const edits = fc.oneof(
      at.map((index) => whole.toSpliced(index, 1)),
      fc.tuple(at, at).map(([from, to]) => whole.toSpliced(from, 1).toSpliced(to, 0, line(from))),
      fc.tuple(at, at).map(([from, to]) => whole.toSpliced(to, 0, line(from))),
      fc.tuple(at, fc.nat(), fc.constantFrom(...'0aZ"}')).map(([index, place, letter]) => {
        const old = line(index)
        const where = place % old.length
        return whole.with(index, old.slice(0, where) + letter + old.slice(where + 1))
      }),
    )
    try {
      await fc.assert(
        fc.asyncProperty(edits, async (edited) => {
          put(edited)
          assert.equal((await verify()).ok, edited.join('\n') === whole.join('\n'))
        }),
        { numRuns: 200 },
      )
    } finally {
      rmSync(folder, { recursive: true })
    }
  })

  test('a file in the middle that is gone', async (t) => {
    const { fill, time, verify, folder } = aTrail(t)
    for (let day = 0; day < 3; day++) {
      fill(2)
      time.now += DAY
    }
    rmSync(join(folder, '2026-01-02.jsonl'))
    assert.deepEqual(brief(await verify()), [
      ['link', 5, 6],
      ['missing', 3, 4],
    ])
  })

  test('the first file gone without a record of its removal, and the end of a file that is not the newest', async (t) => {
    const { fill, time, verify, folder, lines, put } = aTrail(t)
    fill(1, 1)
    time.now += DAY
    fill(1)
    put(lines().slice(0, 2))
    assert.deepEqual(
      (await verify()).findings.map(({ kind, file }) => [kind, file]),
      [
        ['missing', '2026-01-02.jsonl'],
        ['missing', '2026-01-02.jsonl'],
      ],
    )
    rmSync(join(folder, FILE))
    const { findings } = await verify()
    assert.deepEqual(
      findings.map(({ kind, message }) => [kind, /no record says that it was removed/.test(message)]),
      [['missing', true]],
    )
  })

  test('a chain copied under the name of another writer', async (t) => {
    const { fill, lines, put, verify } = aTrail(t)
    fill(2, 1)
    put(lines(), `acts-${FILE}`)
    const { ok, findings } = await verify()
    assert.equal(ok, false)
    assert.deepEqual(brief({ findings }), [
      ['link', undefined, undefined],
      ['order', undefined, undefined],
    ])
  })

  test('lines added to the end of an earlier day', async (t) => {
    const { fill, time, verify, folder } = aTrail(t)
    fill(1)
    time.now += DAY
    fill(1)
    appendFileSync(join(folder, FILE), '{"seq":2,"at":"x"}\n')
    assert.deepEqual(brief(await verify()), [['changed', undefined, undefined]])
  })
})

describe('the end of the trail', () => {
  test('a tail cut between two blocks is found against a checkpoint, and only so', async (t) => {
    const { fill, lines, put, verify } = aTrail(t)
    const end = fill(1, 2, 3)
    assert.ok(end)
    assert.equal((await verify(KEYS, [end])).ok, true)
    put(lines().slice(0, 5))
    assert.equal((await verify()).ok, true)
    assert.deepEqual(brief(await verify(KEYS, [end])), [['cut', 4, 6]])
  })

  test('a tail cut and written anew does not have the MAC of the checkpoint', async (t) => {
    const { fill, lines, put, verify } = aTrail(t)
    const end = fill(1, 2)
    assert.ok(end)
    put(lines().slice(0, 2))
    fill(1, 1, 1)
    assert.equal((await verify()).ok, true)
    assert.deepEqual(brief(await verify(KEYS, [end])), [['changed', 3, 3]])
  })

  test('everything gone is found against a checkpoint', async (t) => {
    const { fill, verify, folder } = aTrail(t)
    const end = fill(2)
    assert.ok(end)
    rmSync(join(folder, FILE))
    assert.deepEqual(brief(await verify(KEYS, [end])), [['cut', 1, 2]])
  })

  test('a torn tail is told apart from an edit, and once it is accounted for it is covered', async (t) => {
    const { fill, text, verify, folder, put } = aTrail(t)
    fill(1, 3)
    const whole = text()
    for (const cut of [whole.length - 1, whole.length - 60, whole.indexOf('r-2')]) {
      writeFileSync(join(folder, FILE), whole)
      truncateSync(join(folder, FILE), cut)
      assert.deepEqual(brief(await verify()), [['torn', undefined, undefined]])
      fill(1)
      const repaired = text()
      assert.ok(repaired.startsWith(whole.slice(0, cut)), 'nothing of it is removed')
      const { ok, chains } = await verify()
      assert.deepEqual([ok, chains[0]?.findings, chains[0]?.last], [true, [], 3], 'record 1, a note, record 3')
      put([repaired.replace(`"GET"`, '"GOT"').slice(0, -1)])
      assert.equal((await verify()).ok, false)
      put([repaired.slice(0, -1).replace(whole.slice(cut - 5, cut), 'xxxxx')])
      assert.equal((await verify()).ok, false, 'what was cut off is covered too')
    }
  })
})

describe('keys', () => {
  const next = createAuditKeys([rawKey('k2', 2), rawKey('k1', 1)])
  const newest = createAuditKeys([rawKey('k3', 3), rawKey('k2', 2)])

  test('a key hands over to the next, and who has the newest can verify all', async (t) => {
    const { fill, open, verify } = aTrail(t)
    fill(1)
    for (const keys of [next, newest]) {
      const chain = open({ keys })
      chain.append([entry('x')])
      chain.close()
    }
    assert.equal((await verify(createAuditKeys([rawKey('k3', 3)]))).ok, true)
    assert.deepEqual((await verify(createAuditKeys([rawKey('k3', 9)]))).ok, false)
  })

  test('an edit of what an earlier key wrote is found with the newest alone', async (t) => {
    const { fill, open, verify, lines, put } = aTrail(t)
    fill(1)
    open({ keys: next }).close()
    put(lines().with(0, (lines()[0] ?? '').replace('GET', 'PUT')))
    assert.deepEqual(brief(await verify(createAuditKeys([rawKey('k2', 2)]))), [['changed', 1, 1]])
  })

  test('a key that takes over without the one before it is named', async (t) => {
    const { fill, open, verify } = aTrail(t)
    fill(1)
    open({ keys: createAuditKeys([rawKey('k2', 2)]) }).close()
    assert.deepEqual(brief(await verify(next)), [['key', 2, 2]])
    assert.deepEqual(brief(await verify(createAuditKeys([rawKey('k2', 2)]))), [
      ['key', 1, 1],
      ['key', 2, 2],
    ])
  })

  test('another sealing key in the ring hands over while the trail is open, and may then be taken out', async (t) => {
    const ring = (...ids: number[]) => {
      const keys = ids.map((id) => rawKey(`s${id}`, id))
      return {
        keys,
        active: keys[0] ?? rawKey('s', 0),
        ids: keys.map(({ id }) => id),
        find: (id: string) => keys.find((key) => key.id === id) ?? null,
      }
    }
    const live = { ...ring(1) }
    const { open, verify } = aTrail(t, { keys: deriveAuditKeys(live, 'here') })
    const chain = open()
    chain.append([entry('a')])
    Object.assign(live, ring(2))
    chain.append([entry('b')])
    chain.close()
    assert.equal((await verify(deriveAuditKeys(ring(2), 'here'))).ok, true)
    assert.equal((await verify(deriveAuditKeys(ring(2), 'elsewhere'))).ok, false)
    assert.equal((await verify(deriveAuditKeys(ring(1), 'here'))).ok, false)
  })
})
