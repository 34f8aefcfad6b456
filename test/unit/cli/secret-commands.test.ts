// sallyport secrets rotate, revoke, rekey, and what list shows of it; set and delete are in cli.test.ts.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { PassThrough } from 'node:stream'
import { describe, test } from 'node:test'
import { createKeyRing } from '../../../src/credentials/key-ring.ts'
import { createSealer } from '../../../src/credentials/seal.ts'
import { createMemorySecrets } from '../../../src/stores/memory-secrets.ts'
import { administer } from '../../support/secrets.ts'
import { type Ran, runWords } from './shell.ts'

const KEYS = ['one', 'two'].map((id) => ({ id, key: randomBytes(32) }))
const SET = 'secrets set github --scheme bearer --origin https://api.github.com --caller billing'

async function aShell() {
  const ring = createKeyRing({ keys: KEYS, active: 'one' })
  const sealer = createSealer({ ring, installation: 'cli' })
  const store = createMemorySecrets()
  const secrets = administer({ store, sealer })
  const acts: unknown[][] = []
  const openStores = async () => ({
    ...{ secrets, who: 'ann', close: () => {} },
    callers: undefined as never,
    act: <T>(act: string, subject: string | null, work: () => Promise<T>, detail?: object): Promise<T> => {
      acts.push([act, subject, detail])
      return work()
    },
  })
  const run = (line: string, values = 'token=canary-1', isTTY = false, typed = false): Promise<Ran> => {
    const stdin = Object.assign(new PassThrough(), { isTTY: typed })
    stdin.end(values)
    return runWords(line.split(' '), { openStores, stdin, isTTY })
  }
  const good = async (line: string, values?: string): Promise<string> => {
    const { code, out, err } = await run(line, values)
    assert.equal(code, 0, err)
    assert.doesNotMatch(out + err, /canary/)
    return out
  }
  const versions = async () => sealer.open('github', (await store.get('github')).record ?? '').versions
  await good(SET)
  return { run, good, acts, ring, versions }
}

describe('secrets rotate', () => {
  test('new values for what is stored; scheme, origins and callers stay; an hour of overlap', async () => {
    const { good, versions, acts } = await aShell()
    assert.equal(await good('secrets rotate github', 'token=canary-2'), 'rotated github to version 2\n')
    const [before, after] = await versions()
    assert.deepEqual(after?.secret?.values, { token: 'canary-2' })
    assert.deepEqual(after?.secret?.origins, ['https://api.github.com'])
    assert.equal((before?.overlapUntil ?? 0) - (after?.notBefore ?? 0), 3_600_000)
    assert.deepEqual(acts.at(-1), ['secret.rotate', 'github', { scheme: 'bearer' }])
  })

  test('when it begins, when it ends and how long they overlap, as instants or from now', async () => {
    const { good, versions } = await aShell()
    const now = Date.now()
    const out = await good('secrets rotate github --not-before 2h --expires 2099-01-01 --overlap 2d --json')
    assert.deepEqual(JSON.parse(out), { name: 'github', version: 2, warnings: [] })
    const [before, after] = await versions()
    assert.ok(Math.abs((after?.notBefore ?? 0) - now - 7_200_000) < 60_000)
    assert.equal(after?.expiresAt, Date.UTC(2099, 0, 1))
    assert.equal((before?.overlapUntil ?? 0) - (after?.notBefore ?? 0), 2 * 86_400_000)
  })

  test('a list of values makes a pool, and how it is picked stays when it is rotated', async () => {
    const { good, versions } = await aShell()
    await good('secrets rotate github --pick least-used', '[{"token": "canary-a"}, {"token": "canary-b"}]')
    await good('secrets rotate github', '[{"token": "canary-c"}, {"token": "canary-d"}, {"token": "canary-e"}]')
    const pool = (await versions()).at(-1)?.secret?.pool
    assert.deepEqual([pool?.pick, pool?.members.length], ['least-used', 3])
    assert.match(await good('secrets list'), /bearer \(pool of 3, least-used\)/)
    await good('secrets rotate github', 'token=canary-1')
    assert.equal((await versions()).at(-1)?.secret?.pool, undefined)
  })

  test('what it drops is said on standard error', async () => {
    const { run } = await aShell()
    await run('secrets rotate github --not-before 1d')
    const { code, err, out } = await run('secrets rotate github')
    assert.deepEqual([code, out], [0, 'rotated github to version 3\n'])
    assert.equal(err, 'warning: version 2, which had yet to begin, is dropped\n')
  })

  const REFUSED: [name: string, line: string, values: string, code: number, message: RegExp][] = [
    [
      'a name that is not stored',
      'secrets rotate nobody',
      'token=canary',
      1,
      /there is no secret "nobody"; "sallyport secrets set" stores one/,
    ],
    ['a value as an argument', 'secrets rotate github canary', '', 2, /too many arguments/],
    ['a value that is missing', 'secrets rotate github', 'password=canary', 1, /values: token/],
    ['an end that is past', 'secrets rotate github --expires 2020-01-01', 'token=canary', 1, /would expire before it begins/],
    ['an end on no day', 'secrets rotate github --expires 2026-13-01', 'token=canary', 2, /no such day/],
    ['an end without a unit', 'secrets rotate github --expires 90', 'token=canary', 2, /with its unit, such as 90s, 24h or 30d/],
    ['an overlap without a unit', 'secrets rotate github --overlap x', 'token=canary', 2, /with its unit/],
    ['another way to pick', 'secrets rotate github --pick random', 'token=canary', 2, /round-robin or least-used/],
    ['a pick without a pool', 'secrets rotate github --pick round-robin', 'token=canary', 1, /--pick is for a pool/],
    ['a pool of one', 'secrets rotate github', '[{"token": "canary"}]', 1, /wants at least two/],
    ['a pool with a number in it', 'secrets rotate github', '[{"token": "canary"}, 5]', 1, /values\[1\] must be an object/],
    ['a scheme that there is none of', 'secrets rotate github --scheme magic', 'token=canary', 1, /--scheme is one of/],
  ]
  for (const [name, line, values, code, message] of REFUSED)
    test(`refused: ${name}`, async () => {
      const { run, versions } = await aShell()
      const ran = await run(line, values)
      assert.equal(ran.code, code, ran.err)
      assert.match(ran.err, message)
      assert.doesNotMatch(ran.out + ran.err.replace(/error: .*too many.*/, ''), /canary/)
      assert.equal((await versions()).length, 1)
    })
})

describe('secrets list', () => {
  test('a row for each version, with its state and what is left of it', async () => {
    const { good } = await aShell()
    await good('secrets rotate github --expires 90d')
    await good('secrets rotate github --not-before 3h')
    const [head, ...rows] = (await good('secrets list')).trimEnd().split('\n')
    assert.match(head ?? '', /^name +version +state +scheme +origins +callers +created +expires in +key$/)
    const cells = rows.map((row) => row.split(/ {2,}/))
    assert.deepEqual(
      cells.map(([, version, state, , , , , left]) => [version, state, left]),
      [
        ['1', 'previous for 59m', '-'],
        ['2', 'current for 3h', '89d'],
        ['3', 'next in 2h', '-'],
      ],
    )
  })
})

describe('secrets revoke', () => {
  test('one version, then the name; what serves in its place is said', async () => {
    const { run, good, versions, acts } = await aShell()
    await good('secrets rotate github')
    const { out, err } = await run('secrets revoke github --version 2')
    assert.equal(out, 'revoked version 2 of github\n')
    assert.match(err, /^warning: version 1 serves in its place, and only until /)
    assert.equal(await good('secrets revoke github'), 'revoked github\n')
    assert.deepEqual(
      (await versions()).map(({ secret }) => secret),
      [null, null],
    )
    assert.deepEqual(acts.slice(-2), [
      ['secret.revoke', 'github', { version: 2 }],
      ['secret.revoke', 'github', { version: null }],
    ])
    assert.match(await good('secrets list'), /1 +revoked.*2 +revoked/s)
  })

  test('refused: a version that is not there, or is no number', async () => {
    const { run } = await aShell()
    const unknown = await run('secrets revoke github --version 9')
    assert.deepEqual([unknown.code, unknown.err], [1, 'sallyport: secret "github" has no version 9\n'])
    assert.equal((await run('secrets revoke github --version x')).code, 2)
  })
})

describe('secrets rekey', () => {
  test('progress for a person at a terminal, a report for a script; what failed is told by name, and fails', async () => {
    const { run, good, ring } = await aShell()
    await good(SET.replace('github', 'stripe'))
    ring.replace({ keys: KEYS, active: 'two' })
    const person = await run('secrets rekey', '', true)
    assert.equal(person.out, '2 sealed anew under key two, 0 there already, 0 failed\n')
    assert.equal(person.err, '\r1 of 2\r2 of 2\n')
    const script = await run('secrets rekey --json')
    assert.deepEqual(JSON.parse(script.out), { keyId: 'two', resealed: [], unchanged: 2, failed: [] })
    assert.equal(script.err, '')
    ring.replace({ keys: [KEYS[0] ?? { id: '', key: randomBytes(32) }], active: 'one' })
    const broken = await run('secrets rekey')
    assert.equal(broken.code, 1)
    assert.match(broken.err, /^github: secret "github": sealed under key "two", which is not among the keys given/)
  })
})

test('a value pasted with line ends at a terminal is not stored cut off', async () => {
  const { run, versions } = await aShell()
  const typed = (values: string) => run('secrets rotate github', values, false, true)
  const { code, err } = await typed('canary-2\ncanary-3\n')
  assert.equal(code, 1)
  assert.match(err, /more lines came than were asked for; nothing was stored/)
  assert.equal((await versions()).length, 1)
  assert.equal((await typed('canary-2\n')).code, 0)
})
