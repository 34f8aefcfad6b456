import assert from 'node:assert/strict'
import { appendFileSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, type TestContext, test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { compressOld } from '../../../src/audit/compress.ts'
import { matches } from '../../../src/audit/match.ts'
import { openTrailSearch } from '../../../src/audit/search.ts'
import type { AuditFound, AuditPageQuery, AuditQuery } from '../../../src/model/audit-search.ts'
import { aTrailFolder, type CallFacts, TRAIL_START } from '../../support/trails.ts'

const DAY = 86_400_000

function searched(t: TestContext, folder: string, dataDir: string | null) {
  const search = openTrailSearch(folder, dataDir && join(dataDir, 'index.db'))
  t.after(() => search.close())
  return search
}

const seqs = (records: readonly AuditFound[]) => records.map(({ seq }) => seq)

test('a call is found as one: its intent, completed by its result', async (t) => {
  const { folder, dataDir, open, call, time } = aTrailFolder(t)
  const chain = open()
  const attempts = [
    { hop: 0, origin: 'https://api.example.com', address: '203.0.113.9', status: 200, sent: 'yes' as const, elapsed: 5 },
  ]
  call(chain, { id: 'a', method: 'POST', tags: { team: 'x' }, credential: 'token@3', takes: 25, attempts })
  const { records, nextCursor } = await searched(t, folder, dataDir).search({})
  assert.deepEqual(
    [records, nextCursor],
    [
      [
        {
          ...{
            kind: 'call',
            chain: chain.end()?.chain,
            seq: 1,
            at: new Date(TRAIL_START).toISOString(),
            id: 'a',
            caller: 'billing',
          },
          ...{ method: 'POST', url: 'https://api.example.com/p', adapter: 'api', credential: 'token@3', tags: { team: 'x' } },
          ...{ endedAt: new Date(time.now).toISOString(), status: 200, error: null, sent: 'yes', attempts, durationMs: 25 },
          ...{ bytesOut: 1, bytesIn: 2, bodies: null },
        },
      ],
      null,
    ],
  )
})

test('a record is found at once, a call under way too, and completed once it has ended', async (t) => {
  const { folder, dataDir, open } = aTrailFolder(t)
  const chain = open()
  const search = searched(t, folder, dataDir)
  assert.deepEqual((await search.search({})).records, [])
  const intent = chain.append([
    {
      kind: 'intent',
      record: { id: 'a', caller: 'c', method: 'GET', url: 'https://h/', adapter: 'a', credential: null, tags: {} },
    },
  ])
  const [under] = (await search.search({ status: 'none' })).records
  assert.deepEqual(under?.kind === 'call' && [under.endedAt, under.status], [null, null])
  const ended = {
    caller: 'c',
    url: 'https://h/',
    adapter: 'a',
    status: 201,
    error: null,
    sent: 'yes' as const,
    credential: null,
    attempts: [],
  }
  chain.append([{ kind: 'result', record: { id: 'a', intent, ...ended, durationMs: 3, bytesOut: 0, bytesIn: 0 } }])
  const [done, ...more] = (await search.search({})).records
  assert.deepEqual([done?.kind === 'call' && done.status, more], [201, []])
})

test('two calls with one id are told apart by the number of the intent; where it is not known, by their order', async (t) => {
  const { folder, dataDir, open } = aTrailFolder(t)
  const chain = open()
  const intent = (path: string) => ({
    kind: 'intent' as const,
    record: { id: 'same', caller: 'c', method: 'GET', url: `https://h/${path}`, adapter: 'a', credential: null, tags: {} },
  })
  const result = (path: string, number: number | null) => ({
    kind: 'result' as const,
    record: {
      ...{
        id: 'same',
        intent: number,
        caller: 'c',
        url: `https://h/${path}`,
        adapter: 'a',
        status: 200,
        error: null,
        sent: 'yes' as const,
      },
      ...{ credential: null, attempts: [], durationMs: 1, bytesOut: 0, bytesIn: 0 },
    },
  })
  const first = chain.append([intent('1'), intent('2')])
  chain.append([result('2', first + 1), result('1', first)])
  const search = searched(t, folder, dataDir)
  const urls = async () =>
    (await search.search({ order: 'oldest' })).records.map(
      (found) => found.kind === 'call' && [found.url, found.endedAt !== null],
    )
  assert.deepEqual(await urls(), [
    ['https://h/1', true],
    ['https://h/2', true],
  ])
  chain.append([intent('3'), intent('4')])
  await search.search({})
  chain.append([result('3', null), intent('5'), result('4', null), result('5', null)])
  assert.deepEqual((await urls()).slice(2), [
    ['https://h/3', true],
    ['https://h/4', true],
    ['https://h/5', true],
  ])
})

async function pages(
  search: { search(query: AuditPageQuery): Promise<{ records: readonly AuditFound[]; nextCursor: string | null }> },
  query: AuditPageQuery,
  between = () => {},
) {
  const found: number[][] = []
  for (let cursor: string | undefined; ; between()) {
    const page = await search.search({ ...query, ...(cursor ? { cursor } : {}) })
    found.push(seqs(page.records))
    if (page.nextCursor === null) return found
    cursor = page.nextCursor
  }
}

describe('paging', () => {
  test('goes newest first by default, and what is written meanwhile moves nothing', async (t) => {
    const { folder, dataDir, open, call, time } = aTrailFolder(t)
    const chain = open()
    for (let i = 0; i < 5; i++) {
      call(chain)
      // Two calls in one millisecond.
      if (i % 2) time.now++
    }
    const search = searched(t, folder, dataDir)
    const write = () => void call(chain)
    assert.deepEqual(await pages(search, { limit: 2 }, write), [[9, 7], [5, 3], [1]])
    assert.deepEqual((await pages(search, { limit: 2, order: 'oldest' })).flat(), [1, 3, 5, 7, 9, 11, 13])
    assert.deepEqual((await pages(search, { limit: 2, host: 'api.example.com' })).flat(), [13, 11, 9, 7, 5, 3, 1])
  })

  test('a cursor outlives the index, which is made anew from the files', async (t) => {
    const { folder, dataDir, open, call } = aTrailFolder(t)
    const chain = open()
    for (let i = 0; i < 3; i++) call(chain)
    const first = openTrailSearch(folder, join(dataDir, 'index.db'))
    const { nextCursor } = await first.search({ limit: 1 })
    await first.close()
    rmSync(join(dataDir, 'index.db'))
    assert.deepEqual(seqs((await searched(t, folder, dataDir).search({ cursor: nextCursor ?? '' })).records), [3, 1])
  })

  for (const cursor of ['', 'x', Buffer.from('1.2.3').toString('base64url')])
    test(`"${cursor}" is no cursor`, async (t) => {
      const { folder } = aTrailFolder(t)
      await assert.rejects(searched(t, folder, null).search({ cursor }), { type: 'InvalidDescriptor' })
    })

  test('a page of large records ends before its limit, so that nobody is busy with it for long', async (t) => {
    const { folder, dataDir, open, call } = aTrailFolder(t)
    const chain = open()
    for (let i = 0; i < 120; i++) call(chain, { url: `https://h/${'p'.repeat(20_000)}` })
    const found = (await pages(searched(t, folder, dataDir), { limit: 1000 })).map((page) => page.length)
    assert.deepEqual(found, [52, 52, 16])
  })

  test('a stream tells everything, page by page', async (t) => {
    const { folder, dataDir, open, call } = aTrailFolder(t)
    const chain = open()
    for (let i = 0; i < 2200; i++) call(chain)
    const found: number[] = []
    for await (const { seq } of searched(t, folder, dataDir).stream({ order: 'oldest' })) found.push(seq)
    assert.deepEqual(
      found,
      Array.from({ length: 2200 }, (_, i) => 2 * i + 1),
    )
  })
})

const name = fc.constantFrom('a', 'b', 'c')
const host = fc.constantFrom('one.example', 'two.example', 'two.example:8443')
const callFacts: fc.Arbitrary<CallFacts> = fc.record({
  ...{
    id: fc.constantFrom('r-1', 'r-2', 'r-3'),
    caller: name,
    adapter: name,
    url: host.map((each) => `https://${each}/p?q=***`),
  },
  status: fc.constantFrom(200, 201, 404, 503, null),
  error: fc.constantFrom(null, null, 'ReadTimeout', 'EgressDenied'),
  credential: fc.constantFrom(null, 'token@1', 'token@2', 'other@1'),
  tags: fc.dictionary(fc.constantFrom('team', 'env'), fc.constantFrom('x', 'y')),
  attempts: fc.array(
    host.map((each) => ({ hop: 0, origin: `https://${each}`, address: null, sent: 'yes' as const, elapsed: 1 })),
    { maxLength: 2 },
  ),
  ...{ takes: fc.nat({ max: 3 }), durationMs: fc.nat({ max: 100 }), lost: fc.boolean() },
})
const query: fc.Arbitrary<AuditQuery> = fc.record(
  {
    from: fc.nat({ max: 40 }).map((ms) => TRAIL_START + ms),
    to: fc.nat({ max: 40 }).map((ms) => TRAIL_START + ms),
    caller: fc.constantFrom('a', 'b', 'nobody'),
    adapter: name,
    host: fc.constantFrom('one.example', 'TWO.example', 'two.example:8443', 'none.example'),
    status: fc.constantFrom(200, 404, '2xx' as const, '5xx' as const, 'none' as const),
    error: fc.constantFrom('any', 'none', 'ReadTimeout', 'SSLError'),
    tags: fc.array(fc.constantFrom('team', 'team=x', 'env=y'), { minLength: 1, maxLength: 2 }),
    requestId: fc.constantFrom('r-1', 'r-9'),
    credential: fc.constantFrom('token', 'token@2', 'github'),
    minDurationMs: fc.nat({ max: 100 }),
    kind: fc.constantFrom('call' as const, 'act' as const, 'note' as const),
  },
  { requiredKeys: [] },
)

test('whatever was recorded and whatever is asked, the index answers what a look at every record would', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(callFacts, { maxLength: 12 }),
      fc.array(query, { minLength: 3, maxLength: 3 }),
      async (calls, queries) => {
        const { folder, dataDir, open, call } = aTrailFolder(null)
        const search = openTrailSearch(folder, null)
        try {
          const chain = open()
          for (const [at, facts] of calls.entries()) {
            call(chain, facts)
            // Now and then the index sees a call half done.
            if (at % 4 === 3) await search.search({})
          }
          const act = { who: 'a', via: 'cli' as const, act: 'secret.set', subject: 'token', error: null, detail: {} }
          chain.append([
            { kind: 'act', record: act },
            { kind: 'note', note: 'n' },
          ])
          const all = (await search.search({ limit: 1000 })).records
          assert.equal(all.length, calls.length + 2)
          for (const asked of queries) {
            const expected = all.filter((found) => matches(found, asked))
            assert.deepEqual(seqs((await search.search(asked)).records), seqs(expected), JSON.stringify(asked))
          }
        } finally {
          await search.close()
          rmSync(dataDir, { recursive: true })
        }
      },
    ),
    { numRuns: 60 },
  )
  t.diagnostic('60 trails')
})

describe('the index', () => {
  test('is made anew where it is damaged, of another kind or gone', async (t) => {
    const { folder, dataDir, open, call } = aTrailFolder(t)
    call(open())
    const path = join(dataDir, 'index.db')
    const found = async () => {
      const search = openTrailSearch(folder, path)
      const { records } = await search.search({ caller: 'billing' })
      await search.close()
      return records.length
    }
    assert.equal(await found(), 1)
    writeFileSync(path, 'no database at all, but long enough to be looked at as one. '.repeat(100))
    assert.equal(await found(), 1)
    truncateSync(path, 5000)
    assert.equal(await found(), 1)
    rmSync(path)
    assert.equal(await found(), 1)
    rmSync(path)
    const former = new DatabaseSync(path)
    former.exec('CREATE TABLE records (at INTEGER); PRAGMA user_version = 1')
    former.close()
    assert.equal(await found(), 1)
  })

  test('is made anew where a file is not the one that it knew', async (t) => {
    const { folder, dataDir, open, call } = aTrailFolder(t)
    const chain = open()
    call(chain, { caller: 'before' })
    chain.close()
    const search = searched(t, folder, dataDir)
    assert.equal((await search.search({})).records.length, 1)
    const [file = ''] = readdirSync(folder)
    rmSync(join(folder, file))
    call(open(), { caller: 'after', id: 'a longer id than the one before it' })
    const again = searched(t, folder, dataDir)
    assert.deepEqual(
      (await again.search({})).records.map((found) => found.kind === 'call' && found.caller),
      ['after'],
    )
  })

  test('has a result whose intent stands nowhere as a record of its own, though older files are read after it', async (t) => {
    const { folder, dataDir, open, call, time } = aTrailFolder(t)
    const chain = open()
    for (let day = 0; day < 3; day++, time.now += DAY) call(chain)
    const ended = {
      caller: 'c',
      url: 'https://h/',
      adapter: 'a',
      status: 200,
      error: null,
      sent: 'yes' as const,
      credential: null,
    }
    const record = { id: 'lonely', intent: 999, ...ended, attempts: [], durationMs: 1, bytesOut: 0, bytesIn: 0 }
    chain.append([{ kind: 'result', record }])
    const search = openTrailSearch(folder, join(dataDir, 'index.db'), { waitMs: 0 })
    t.after(() => search.close())
    // The index is not whole until somebody has asked often enough.
    for (let i = 0; i < 5; i++) await search.search({})
    assert.deepEqual(seqs((await search.search({})).records), [7, 5, 3, 1])
  })

  test('tells the newest of a day of many parts before it has the others', async (t) => {
    const { folder, dataDir, open, call, time } = aTrailFolder(t, { fileBytes: 2000 })
    const [chain, acts] = [open(), open({ writer: 'acts' })]
    for (let i = 0; i < 60; i++, time.now++) call(chain)
    acts.append([{ kind: 'note', note: 'n' }])
    const parts = readdirSync(folder).length
    assert.ok(parts > 10, String(parts))
    const search = openTrailSearch(folder, join(dataDir, 'index.db'), { waitMs: 0 })
    t.after(() => search.close())
    const first = await search.search({ kind: 'call' })
    assert.deepEqual(seqs(first.records).slice(0, 2), [119, 117])
    assert.ok(first.nextCursor !== null && first.records.length < 60)
    const found = await pages(search, { kind: 'call' })
    assert.deepEqual(
      found.flat(),
      Array.from({ length: 60 }, (_, i) => 119 - 2 * i),
    )
  })

  test('of an empty file that was compressed is as that of an empty file', async (t) => {
    const { folder, dataDir, open, call, time } = aTrailFolder(t)
    open().close()
    time.now += DAY
    call(open())
    assert.equal(await compressOld(folder, { now: time.now + DAY, afterMs: 0 }), 1)
    assert.equal(gunzipSync(readFileSync(join(folder, '2026-01-01.jsonl.gz'))).length, 0)
    assert.deepEqual(seqs((await searched(t, folder, dataDir).search({})).records), [1])
  })

  test('two that fill it at once do not put a record in twice', async (t) => {
    const { folder, dataDir, open, call } = aTrailFolder(t)
    const chain = open()
    const one = searched(t, folder, dataDir)
    const other = searched(t, folder, dataDir)
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 20; i++) call(chain)
      const counts = await Promise.all([one, other].map(async (each) => (await each.search({ limit: 1000 })).records.length))
      assert.deepEqual(counts, [20 * (round + 1), 20 * (round + 1)])
    }
  })

  test('forgets what is gone for its age, and passes over what a crash left', async (t) => {
    const { folder, dataDir, open, call, time } = aTrailFolder(t)
    const chain = open()
    call(chain, { tags: { a: 'b' } })
    time.now += DAY
    call(chain)
    chain.close()
    const search = searched(t, folder, dataDir)
    assert.equal((await search.search({})).records.length, 2)
    const [oldest = '', newest = ''] = readdirSync(folder).sort()
    rmSync(join(folder, oldest))
    assert.deepEqual([(await search.search({})).records.length, (await search.search({ tags: ['a'] })).records.length], [1, 0])
    const line = readFileSync(join(folder, newest), 'utf8').split('\n')[0] ?? ''
    appendFileSync(join(folder, newest), `${line.replace('"seq":3', '"seq":5')}\n{"se`)
    call(open())
    assert.deepEqual(
      (await search.search({})).records.map(({ kind }) => kind),
      ['call', 'note', 'call'],
    )
  })
})
