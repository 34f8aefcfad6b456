import assert from 'node:assert/strict'
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { openTrail } from '../../../src/audit/open-trail.ts'
import { openSink } from '../../../src/audit/sinks.ts'
import type { Post } from '../../../src/model/audit-sink.ts'
import { aTrailFolder, TRAIL_KEYS } from '../../support/trails.ts'
import { runWords } from './shell.ts'

function aTrail(t: TestContext, status = () => 200) {
  const shipped = new PassThrough()
  const posted: Parameters<Post>[0][] = []
  const post: Post = async (request) => {
    posted.push(request)
    return { status: status(), text: '' }
  }
  const trail = { ...aTrailFolder(t), shipped, posted, post }
  const run = (line: string, more: Parameters<typeof runWords>[1] = {}) =>
    runWords(['audit', ...line.split(' ')], {
      openTrail: async ({ dir }) => ({
        ...openTrail(dir ?? trail.folder, TRAIL_KEYS, { copy: dir !== null }),
        openSink: (settings) => openSink(settings, { stdout: trail.shipped, post: trail.post }),
      }),
      ...more,
    })
  return { ...trail, run }
}

describe('audit search', () => {
  test('shows what matches, newest first, a line each', async (t) => {
    const { run, open, call } = aTrail(t)
    const chain = open()
    call(chain, { id: 'r-1', takes: 12.34 })
    call(chain, { id: 'r-2', status: null, error: 'ReadTimeout', credential: 'token@2' })
    call(chain, { id: 'r-3', lost: true })
    const { code, out, err } = await run('search')
    assert.deepEqual([code, err], [0, ''])
    assert.deepEqual(out.replaceAll(/2026\S+Z/g, 'AT').split('\n'), [
      'AT  no result  billing  GET https://api.example.com/p  api  r-3',
      'AT  ReadTimeout  0ms  billing  GET https://api.example.com/p  api  token@2  r-2',
      'AT  200  12.3ms  billing  GET https://api.example.com/p  api  r-1',
      '',
    ])
    assert.deepEqual(
      (await run('search --error any --json')).out.split('\n').map((line) => line && JSON.parse(line).id),
      ['r-2', ''],
    )
  })

  test('says that there are more than it shows', async (t) => {
    const { run, open, call } = aTrail(t)
    const chain = open()
    for (let i = 0; i < 3; i++) call(chain)
    const { out, err } = await run('search --limit 2')
    assert.deepEqual([out.split('\n').length, err], [3, 'there are more; raise --limit, or narrow the search\n'])
  })

  for (const [line, said] of [
    ['search --from yesterday', /--from is an instant such as 2026/],
    ['search --status 6xx', /--status is a status such as 503/],
    ['search --kind calls', /--kind is call, act or note/],
    ['search --min-duration soon', /--min-duration must be/],
    ['search --limit many', /--limit is a number/],
    ['export --format xml', /--format is ndjson or csv/],
  ] as const)
    test(`${line} is not understood`, async (t) => {
      const { code, err } = await aTrail(t).run(line)
      assert.equal(code, 2)
      assert.match(err, said)
    })

  test('instants are given whole, or as how long ago', async (t) => {
    const { run, open, call, time } = aTrail(t)
    const chain = open()
    for (const ago of [10 * 86_400_000, 3_600_000, 0]) {
      time.now = Date.now() - ago
      call(chain)
    }
    const count = async (line: string) => (await run(line)).out.split('\n').length - 1
    assert.deepEqual(
      [await count('search --from 30m'), await count('search --from 2d'), await count('search --to 1d')],
      [1, 2, 1],
    )
    const day = new Date(Date.now() - 5 * 86_400_000).toISOString().slice(0, 10)
    assert.deepEqual([await count(`search --from ${day}`), await count(`search --to ${day}T00:00Z`)], [2, 1])
  })
})

describe('audit export', () => {
  test('writes everything, oldest first, as CSV or JSON lines, into a new file for its owner alone', async (t) => {
    const { run, open, call, dataDir } = aTrail(t)
    const chain = open()
    for (const id of ['r-1', 'r-2']) call(chain, { id })
    const file = join(dataDir, 'out.csv')
    assert.deepEqual(await run(`export --format csv --output ${file}`).then(({ code, out }) => [code, out]), [0, ''])
    assert.deepEqual(
      readFileSync(file, 'utf8')
        .split('\r\n')
        .map((row) => row.split(',')[4]),
      ['id', 'r-1', 'r-2', undefined],
    )
    assert.equal(statSync(file).mode & 0o777, 0o600)
    assert.match((await run(`export --output ${file}`)).err, /exists; name a new file/)
    assert.deepEqual(
      (await run('export')).out
        .trimEnd()
        .split('\n')
        .map((line) => JSON.parse(line).id),
      ['r-1', 'r-2'],
    )
  })

  test('a copy of the files is read where it is, with nothing written beside it', async (t) => {
    const { run, open, call, dataDir, folder } = aTrail(t)
    call(open())
    assert.equal((await run(`export --dir ${folder}`)).out.split('\n').length, 2)
    assert.equal(existsSync(join(dataDir, 'audit-index.db')), false)
    await run('search')
    assert.equal(existsSync(join(dataDir, 'audit-index.db')), true)
  })
})

describe('audit verify', () => {
  test('says that nothing was changed, and what it cannot see; with a checkpoint it can', async (t) => {
    const { run, open, call, dataDir, folder } = aTrail(t)
    const chain = open()
    call(chain)
    const end = chain.end()
    chain.close()
    const { code, out } = await run('verify')
    assert.equal(code, 0)
    assert.match(out, /^gateway: 2 records \(1 to 2\) in 2 blocks, 1 files\nnothing was changed; without --checkpoint a tail/)
    const file = join(dataDir, 'checkpoints')
    writeFileSync(file, `${JSON.stringify({ level: 30, event: 'audit checkpoint', ...end })}\nsome other line\n`)
    assert.match((await run(`verify --checkpoint ${file}`)).out, /held against 1 checkpoints\n$/)
    const [name = ''] = readdirSync(folder)
    const whole = readFileSync(join(folder, name), 'utf8')
    writeFileSync(join(folder, name), whole.split('\n').slice(0, 2).join('\n').concat('\n'))
    assert.equal((await run('verify')).code, 0)
    const cut = await run(`verify --checkpoint ${file}`)
    assert.deepEqual([cut.code, cut.err], [1, ''])
    assert.match(cut.out, /cut: .*ends with record 1; a checkpoint knows records up to 2\n.*NOT as it was written\n$/)
    writeFileSync(join(folder, name), whole.replace('"billing"', '"somebody"'))
    const changed = await run('verify --json')
    assert.deepEqual(
      [changed.code, JSON.parse(changed.out).ok, JSON.parse(changed.out).chains[0].findings[0].kind],
      [1, false, 'changed'],
    )
  })

  test('a file without a checkpoint in it is refused', async (t) => {
    const { run, dataDir } = aTrail(t)
    writeFileSync(join(dataDir, 'x'), '{"seq": 1}\n')
    assert.match((await run(`verify --checkpoint ${join(dataDir, 'x')}`)).err, /holds no checkpoint/)
  })
})

test('audit tail shows the newest, oldest of them first, and then each call as it ends', { timeout: 10_000 }, async (t) => {
  const { run, open, call } = aTrail(t)
  const chain = open()
  for (const id of ['r-1', 'r-2', 'r-3']) call(chain, { id })
  assert.deepEqual(
    (await run('tail -n 2 --json')).out
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line).id),
    ['r-2', 'r-3'],
  )
  call(chain, { id: 'under way', lost: true })
  const stop = new AbortController()
  const stdout = new PassThrough()
  const ids: string[] = []
  stdout.on('data', (line: Buffer) => void ids.push(JSON.parse(line.toString()).id))
  const until = async (count: number) => {
    while (ids.length < count) await sleep(5)
  }
  const tail = run('tail -n 1 -f --json --caller billing', { stdout, interrupted: () => stop.signal })
  await until(1)
  call(chain, { id: 'other', caller: 'other' })
  call(chain, { id: 'r-4' })
  await until(2)
  stop.abort()
  assert.equal((await tail).code, 0)
  assert.deepEqual(ids, ['under way', 'r-4'])
})

describe('audit ship', () => {
  test('sends JSON lines to standard output, and with a cursor only what is new', async (t) => {
    const { run, open, call, shipped, dataDir } = aTrail(t)
    const chain = open()
    call(chain, { id: 'r-1' })
    const cursor = join(dataDir, 'cursor')
    assert.equal((await run(`ship --to stdout --cursor ${cursor}`)).err, 'sent 2 records\n')
    const lines = String(shipped.read()).trimEnd().split('\n')
    assert.deepEqual(
      lines.map((line) => JSON.parse(line)).map(({ event, chain, seq, kind }) => [event, chain, seq, kind]),
      [
        ['audit', chain.end()?.chain, 1, 'intent'],
        ['audit', chain.end()?.chain, 2, 'result'],
      ],
    )
    assert.equal((await run(`ship --to stdout --cursor ${cursor}`)).err, 'sent 0 records\n')
    call(chain)
    assert.equal((await run(`ship --to stdout --cursor ${cursor}`)).err, 'sent 2 records\n')
    assert.equal((await run('ship --to stdout')).err, 'sent 4 records\n')
  })

  test('sends batches to a collector, with headers from a file', async (t) => {
    const { run, open, call, posted, dataDir } = aTrail(t)
    const chain = open()
    for (let i = 0; i < 3; i++) call(chain)
    writeFileSync(join(dataDir, 'headers'), 'Authorization: Bearer canary\nX-Team: a:b\n')
    const { err } = await run(`ship --to https://siem.example/in --batch 4 --otlp --headers ${join(dataDir, 'headers')}`)
    assert.equal(err, 'sent 6 records\n')
    const [first, second] = posted
    assert.deepEqual(
      [posted.length, first?.url, first?.headers],
      [2, 'https://siem.example/in', { Authorization: 'Bearer canary', 'X-Team': 'a:b', 'content-type': 'application/json' }],
    )
    const records = (request: typeof first) => JSON.parse(request?.body ?? '{}').resourceLogs[0].scopeLogs[0].logRecords
    assert.deepEqual([records(first).length, records(second).length], [4, 2])
  })

  for (const [status, said] of [
    [500, 'sallyport: https://siem.example took 4 records and then no more: it answered 500\n'],
    [413, 'sallyport: https://siem.example took 4 records and then no more: it answered 413; send fewer at once: --batch\n'],
  ] as const)
    test(`a collector that answers ${status} half-way: what it has is told and remembered, and the rest is sent the next time`, async (t) => {
      const { run, open, call, posted, dataDir } = aTrail(t, () => (posted.length === 2 ? status : 200))
      const chain = open()
      for (let i = 0; i < 4; i++) call(chain)
      const line = `ship --to https://siem.example/in?key=canary --batch 4 --cursor ${join(dataDir, 'cursor')}`
      const { code, err } = await run(line)
      assert.deepEqual([code, err], [1, said])
      assert.equal((await run(line)).err, 'sent 4 records\n')
      const seqs = posted.map(({ body }) =>
        body
          .trimEnd()
          .split('\n')
          .map((record) => JSON.parse(record).seq),
      )
      assert.deepEqual(seqs, [
        [1, 2, 3, 4],
        [5, 6, 7, 8],
        [5, 6, 7, 8],
      ])
    })

  test('a cursor that cannot be written is told before anything is sent', async (t) => {
    const { run, open, call, posted, dataDir } = aTrail(t)
    call(open())
    writeFileSync(join(dataDir, 'file'), '')
    const { code, err } = await run(`ship --to https://siem.example/in --cursor ${join(dataDir, 'file', 'cursor')}`)
    assert.deepEqual([code, posted.length], [1, 0])
    assert.match(err, /ENOTDIR/)
  })

  for (const [line, said] of [
    ['ship --to https://ops:canary@x', /^sallyport: --to holds a login, which others see; [^@]*\n$/],
    ['ship --to ftp://x', /--to is stdout, or an http/],
    ['ship --to https://x --batch none', /--batch is a number/],
    ['ship --to https://x --headers /none', /cannot read \/none \(ENOENT\)/],
  ] as const)
    test(`${line} is refused`, async (t) => assert.match((await aTrail(t).run(line)).err, said))
})
