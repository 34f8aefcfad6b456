// Held against a look at every line of every file: whatever is recorded, rotated, compressed and asked, in whatever order.
import assert from 'node:assert/strict'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { gunzipSync } from 'node:zlib'
import fc from 'fast-check'
import { compressOld } from '../../../src/audit/compress.ts'
import { openTrailSearch, type TrailSearch } from '../../../src/audit/search.ts'
import type { AuditPageQuery, AuditQuery } from '../../../src/model/audit-search.ts'
import { aTrailFolder, type CallFacts, TRAIL_START } from '../../support/trails.ts'

const DAY = 86_400_000
const name = fc.constantFrom('a', 'b', 'c')
const host = fc.constantFrom('one.example', 'two.example', 'two.example:8443')
const facts: fc.Arbitrary<CallFacts> = fc.record({
  ...{ id: fc.constantFrom('r-1', 'r-2', 'r-3'), caller: name, adapter: name, url: host.map((each) => `https://${each}/p`) },
  ...{ status: fc.constantFrom(200, 404, 503, null), error: fc.constantFrom(null, null, 'ReadTimeout') },
  ...{ credential: fc.constantFrom(null, 'token@1', 'token@2'), durationMs: fc.double({ min: 0, max: 100, noNaN: true }) },
  tags: fc.dictionary(fc.constantFrom('team', 'env'), fc.constantFrom('x', 'y')),
  attempts: fc.array(
    host.map((each) => ({ hop: 0, origin: `https://${each}`, address: null, sent: 'yes' as const, elapsed: 1 })),
    { maxLength: 2 },
  ),
})

type Step =
  | { readonly do: 'call' | 'begin' | 'refuse'; readonly facts: CallFacts }
  | { readonly do: 'end' | 'act' | 'tick' | 'day' | 'compress' | 'search' | 'reopen' }

const plain = (...names: Exclude<Step['do'], 'call' | 'begin' | 'refuse'>[]) =>
  fc.constantFrom(...names).map((each): Step => ({ do: each }))
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 6, arbitrary: facts.map((each): Step => ({ do: 'call', facts: each })) },
  { weight: 3, arbitrary: facts.map((each): Step => ({ do: 'begin', facts: each })) },
  { weight: 1, arbitrary: facts.map((each): Step => ({ do: 'refuse', facts: each })) },
  { weight: 4, arbitrary: plain('end', 'tick') },
  { weight: 4, arbitrary: plain('day') },
  { weight: 2, arbitrary: plain('act', 'compress', 'search') },
)

const instant = fc.nat({ max: 6 * 48 }).map((half) => TRAIL_START + (half * DAY) / 48)
const filters = {
  ...{ from: instant, to: instant, caller: name, adapter: name, host, requestId: fc.constantFrom('r-1', 'r-9') },
  status: fc.constantFrom(200, 503, '2xx' as const, '5xx' as const, 'none' as const),
  error: fc.constantFrom('any', 'none', 'ReadTimeout'),
  tags: fc.uniqueArray(fc.constantFrom('team', 'team=x', 'env=y'), { minLength: 1, maxLength: 2 }),
  ...{ credential: fc.constantFrom('token', 'token@2'), minDurationMs: fc.nat({ max: 100 }) },
  kind: fc.constantFrom('call' as const, 'act' as const, 'note' as const),
}
/** None, one, a pair or three of them. */
const query: fc.Arbitrary<AuditQuery> = fc
  .subarray(Object.keys(filters) as (keyof typeof filters)[], { maxLength: 3 })
  .chain((keys) => fc.record(Object.fromEntries(keys.map((key) => [key, filters[key]])) as Partial<typeof filters>))

// biome-ignore lint/suspicious/noExplicitAny: lines are looked at as they stand in the files.
type Line = any

/** Intents with their results, acts, notes and lonely results, newest first. */
function scan(folder: string): Line[] {
  const found: Line[] = []
  for (const file of readdirSync(folder).filter((each) => each.includes('.jsonl'))) {
    const bytes = readFileSync(join(folder, file))
    let waiting: Line[] = []
    for (const line of (file.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8').split('\n').slice(0, -1)) {
      const record = JSON.parse(line)
      if (record.kind !== 'block') waiting.push(record)
      else {
        found.push(...waiting.map((each) => ({ ...each, chain: record.chain })))
        waiting = []
      }
    }
  }
  const results = new Map(
    found.filter(({ kind, intent }) => kind === 'result' && intent !== null).map((each) => [each.intent, each]),
  )
  return found
    .filter(({ kind, intent }) => kind !== 'result' || intent === null)
    .map((line) => ({
      ...line,
      result: line.kind === 'intent' ? results.get(line.seq) : line.kind === 'result' ? line : undefined,
    }))
    .sort((a, b) => Date.parse(b.at) - Date.parse(a.at) || (a.chain < b.chain ? 1 : a.chain > b.chain ? -1 : b.seq - a.seq))
}

function holds(line: Line, asked: AuditQuery): boolean {
  const { result } = line
  const isCall = line.kind === 'intent' || line.kind === 'result'
  const last = { ...line, ...Object.fromEntries(Object.entries(result ?? {}).filter(([, value]) => value !== null)) }
  const status = result?.status ?? null
  const error = (isCall ? result?.error : line.error) ?? null
  const credential = isCall ? last.credential : line.kind === 'act' ? line.subject : null
  const urls = isCall ? [last.url, ...(result?.attempts ?? []).map(({ origin }: Line) => origin)] : []
  const tags = Object.entries(line.tags ?? {}).flatMap(([key, value]) => [key, `${key}=${value}`])
  const facts: { readonly [K in keyof Required<AuditQuery>]: (value: never) => boolean } = {
    from: (value) => Date.parse(line.at) >= value,
    to: (value) => Date.parse(line.at) < value,
    kind: (value) => (isCall ? 'call' : line.kind) === value,
    caller: (value) => (line.caller ?? line.who) === value,
    adapter: (value) => isCall && last.adapter === value,
    host: (value) => urls.some((url) => [new URL(url).host, new URL(url).hostname].includes(value)),
    requestId: (value) => line.id === value,
    status: (value: number | string) =>
      isCall && (value === 'none' ? status === null : status === value || `${String(status)[0]}xx` === value),
    error: (value) =>
      value === 'any' ? error !== null : value === 'none' ? isCall && !!result && error === null : error === value,
    tags: (value: string[]) => value.every((each) => tags.includes(each)),
    credential: (value) => credential === value || (isCall && credential?.split('@')[0] === value),
    minDurationMs: (value) => result?.durationMs >= value,
  }
  return Object.entries(asked).every(([key, value]) => facts[key as keyof AuditQuery](value as never))
}

const brief = (line: Line): unknown[] => [line.chain, line.seq, (line.result?.at ?? line.endedAt) || null]

interface Trail {
  readonly folder: string
  readonly search: () => TrailSearch
  take(step: Step): Promise<void>
  close(): Promise<void>
}

function aTrail(waitMs: number): Trail {
  // Days have several parts.
  const { folder, dataDir, time, open, call } = aTrailFolder(null, { fileBytes: 2000 })
  const [chain, acts] = [open(), open({ writer: 'acts' })]
  const index = join(dataDir, 'index.db')
  let search = openTrailSearch(folder, index, { waitMs })
  const begun: { readonly facts: CallFacts; readonly intent: number }[] = []
  const end = (facts: CallFacts, intent: number | null): void => {
    const { id = '', caller = '', adapter = '', url = '', status = 200, error = null, credential = null } = facts
    const { attempts = [], durationMs = 0 } = facts
    const record = { id, intent, caller, adapter, url, status, error, credential, attempts, durationMs, sent: 'yes' as const }
    chain.append([
      { kind: 'result', record: { ...record, bytesOut: 0, bytesIn: 0, ...(intent === null ? { adapter: null } : {}) } },
    ])
  }
  const steps: { readonly [K in Step['do']]: (facts: CallFacts) => unknown } = {
    call: (facts) => call(chain, facts),
    begin: (facts) => begun.push({ facts, intent: call(chain, { ...facts, lost: true }) }),
    refuse: (facts) => end(facts, null),
    end() {
      const oldest = begun.shift()
      if (oldest) end(oldest.facts, oldest.intent)
    },
    act: () =>
      acts.append([
        { kind: 'act', record: { who: 'a', via: 'cli', act: 'secret.set', subject: 'token', error: null, detail: {} } },
        { kind: 'note', note: 'n' },
      ]),
    tick: () => time.now++,
    day() {
      time.now += (3 * DAY) / 4
    },
    compress: () => compressOld(folder, { now: time.now, afterMs: 0 }),
    search: () => search.search({}),
    async reopen() {
      await search.close()
      rmSync(index)
      search = openTrailSearch(folder, index, { waitMs })
    },
  }
  return {
    folder,
    search: () => search,
    take: async (step) => void (await steps[step.do]('facts' in step ? step.facts : {})),
    async close() {
      await search.close()
      rmSync(dataDir, { recursive: true })
    },
  }
}

async function allPages(trail: Trail, asked: AuditPageQuery, between: () => Promise<void>): Promise<Line[]> {
  const found: Line[] = []
  for (let cursor: string | undefined; ; ) {
    const page = await trail.search().search({ ...asked, ...(cursor === undefined ? {} : { cursor }) })
    assert.ok(page.records.length <= (asked.limit ?? 100))
    found.push(...page.records)
    if (page.nextCursor === null) return found
    cursor = page.nextCursor
    await between()
  }
}

for (const [title, waitMs] of [
  ['waits for its index', Number.POSITIVE_INFINITY],
  ['answers as far as its index goes', 0],
] as const)
  test(`a search that ${title} tells, page by page and while records are added, what a look at every record does`, async () => {
    const asked = fc.tuple(query, fc.integer({ min: 1, max: 4 }), fc.constantFrom('newest' as const, 'oldest' as const))
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 50, size: 'max' }),
        fc.array(asked, { minLength: 4, maxLength: 4 }),
        fc.array(facts, { maxLength: 3 }),
        async (steps, questions, meanwhile) => {
          const trail = aTrail(waitMs)
          try {
            for (const each of steps) await trail.take(each)
            for (const [filter, limit, order] of questions) {
              // An index that has to be made while it is asked.
              if (waitMs === 0) await trail.take({ do: 'reopen' })
              const before = scan(trail.folder)
              const more = [...meanwhile]
              const found = await allPages(trail, { ...filter, limit, order }, async () => {
                const next = more.shift()
                // In the same millisecond the order is by chain, and those are drawn.
                await trail.take({ do: 'tick' })
                if (next) await trail.take({ do: 'call', facts: next })
              })
              // Newest first, what is added is behind us; oldest first, it is still to come.
              const expected = order === 'newest' ? before : scan(trail.folder).toReversed()
              const wanted = expected.filter((line) => holds(line, filter))
              assert.deepEqual(found.map(brief), wanted.map(brief), JSON.stringify([filter, order]))
            }
          } finally {
            await trail.close()
          }
        },
      ),
      { numRuns: waitMs === 0 ? 8 : 20 },
    )
  })
