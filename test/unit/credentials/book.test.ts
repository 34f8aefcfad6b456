import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { SecretBook } from '../../../src/credentials/book.ts'
import type { Terms } from '../../../src/credentials/make-version.ts'
import type { NewSecret } from '../../../src/credentials/provision.ts'
import { createEphemeralSealer } from '../../../src/credentials/seal.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import type { Secret, SecretSnapshot, SecretStore } from '../../../src/model/ports.ts'
import { createMemorySecrets } from '../../../src/stores/memory-secrets.ts'
import { createFakeClock, settle } from '../../support/fake-clock.ts'
import { administer, openBook } from '../../support/secrets.ts'

const STALE_FOR_MS = 300_000
const USE = { origin: 'https://api.github.com', caller: 'billing' }

/** A book over a store that can be taken away, and how often that store was asked. */
function aBook() {
  const clock = createFakeClock()
  const sealer = createEphemeralSealer()
  const memory = createMemorySecrets()
  const state = { away: false, asked: 0, replace: new Map<string, string>() }
  const store: SecretStore = {
    ...memory,
    async load(digest): Promise<SecretSnapshot | null> {
      state.asked++
      if (state.away) throw new GatewayError('Overloaded', 'the store (redis at x) is not connected')
      const snapshot = await memory.load(state.replace.size > 0 ? null : digest)
      return (
        snapshot && {
          digest: `${snapshot.digest}${state.replace.size}`,
          records: new Map([...snapshot.records, ...state.replace]),
        }
      )
    },
  }
  const lines: string[] = []
  const log = {
    log: (level: string, event: string, fields = {}) => void lines.push(`${level} ${event} ${JSON.stringify(fields)}`),
  }
  const open = (): SecretBook =>
    openBook({
      ...{ store, sealer, clock, log },
      staleForMs: STALE_FOR_MS,
    })
  const admin = administer({ store: memory, sealer, clock })
  const put = (over: Partial<NewSecret> = {}, terms: Terms = {}) =>
    admin.set(
      {
        name: 'github',
        scheme: 'bearer',
        values: { token: 'one' },
        origins: ['https://api.github.com'],
        callers: ['billing'],
        ...over,
      },
      terms,
    )
  return { clock, sealer, memory, state, lines, open, put, admin }
}

function now(found: Secret | Promise<Secret>): Secret {
  assert.ok(!(found instanceof Promise), 'the secret was not in memory')
  return found
}

const type =
  (expected: string, message = /./, privateDetail?: RegExp) =>
  (error: unknown) => {
    assert.ok(error instanceof GatewayError, String(error))
    assert.equal(error.type, expected)
    assert.match(error.message, message)
    if (privateDetail) assert.match(error.privateDetail ?? '', privateDetail)
    return true
  }

describe('who may use a secret and where', () => {
  const CASES: [name: string, over: Partial<NewSecret>, use: typeof USE, refusal: [type: string, message: RegExp] | null][] = [
    ['bound caller and origin', {}, USE, null],
    ['every caller, said so', { callers: ['*'] }, { ...USE, caller: 'anyone' }, null],
    [
      'another caller',
      {},
      { ...USE, caller: 'shipping' },
      ['UnknownCredential', /does not exist or is not for caller "shipping"/],
    ],
    [
      'another host',
      {},
      { ...USE, origin: 'https://api.github.com.evil.example' },
      ['UnknownCredential', /not bound to https:\/\/api.github.com.evil.example/],
    ],
    ['another scheme', {}, { ...USE, origin: 'http://api.github.com' }, ['UnknownCredential', /not bound to http:/]],
    [
      'another port',
      {},
      { ...USE, origin: 'https://api.github.com:8443' },
      ['UnknownCredential', /not bound to https:\/\/api.github.com:8443/],
    ],
    ['a caller whose name is a wildcard', {}, { ...USE, caller: '*' }, ['UnknownCredential', /is not for caller/]],
  ]
  for (const [name, over, use, refusal] of CASES)
    test(name, async () => {
      const { open, put } = aBook()
      await put(over)
      const book = open()
      await settle()
      if (refusal) assert.throws(() => book.find('github', use), type(...refusal))
      else assert.equal(now(book.find('github', use)).values.token, 'one')
      book.close()
    })

  test('a caller that may not use a secret is told what it would be told if there were none; the rest is for operators', async () => {
    const { open, put } = aBook()
    await put()
    const book = open()
    await settle()
    const messageOf = (name: string): string => {
      try {
        book.find(name, { ...USE, caller: 'shipping' })
      } catch (error) {
        return error instanceof GatewayError ? error.message.replace(name, 'NAME') : ''
      }
      return ''
    }
    assert.equal(messageOf('github'), messageOf('nothing'))
    assert.throws(
      () => book.find('github', { ...USE, caller: 'shipping' }),
      type('UnknownCredential', /./, /bound to the callers billing/),
    )
    assert.throws(
      () => book.find('github', { ...USE, origin: 'https://x' }),
      type('UnknownCredential', /./, /bound to https:\/\/api.github.com/),
    )
    book.close()
  })
})

describe('following the store', () => {
  test('a call asks the store nothing, and finds the same object again', async () => {
    const { open, put, state } = aBook()
    await put()
    const book = open()
    await settle()
    const asked = state.asked
    const first = book.find('github', USE)
    for (let i = 0; i < 100; i++) assert.equal(book.find('github', USE), first)
    assert.equal(state.asked, asked)
    book.close()
  })

  test('a call that comes before the first answer waits for it', async () => {
    const { open, put } = aBook()
    await put()
    const book = open()
    assert.equal((await book.find('github', USE)).version, 1)
    book.close()
  })

  test('a changed, a new and a deleted secret are noticed within a second; an unchanged one keeps its identity', async () => {
    const { clock, memory, open, put } = aBook()
    await put()
    await put({ name: 'stripe' })
    const book = open()
    await settle()
    const stripe = book.find('stripe', USE)
    await put({ values: { token: 'two' } })
    await put({ name: 'new' })
    await clock.advance(1000)
    assert.deepEqual([now(book.find('github', USE)).version, now(book.find('github', USE)).values.token], [2, 'two'])
    assert.equal(now(book.find('new', USE)).version, 1)
    assert.equal(book.find('stripe', USE), stripe)
    await memory.delete('github')
    await clock.advance(1000)
    assert.throws(() => book.find('github', USE), type('UnknownCredential'))
    book.close()
  })

  test('closed, it asks no more and leaves no timer', async () => {
    const { clock, open, state } = aBook()
    const book = open()
    await settle()
    book.close()
    const { asked } = state
    await clock.advance(10_000)
    assert.equal(state.asked, asked)
    assert.equal(clock.pending, 0)
  })
})

describe('while the store is away', () => {
  test('the last known values serve for staleFor and not longer; then it recovers without help', async () => {
    const { clock, open, put, state, lines } = aBook()
    await put()
    const book = open()
    await settle()
    state.away = true
    await clock.advance(1000)
    assert.equal(book.fresh, false)
    await clock.advance(STALE_FOR_MS - 2000)
    assert.equal(now(book.find('github', USE)).version, 1)
    await clock.advance(2000)
    assert.throws(() => book.find('github', USE), type('CredentialUnavailable', /secret store cannot be reached/))
    state.away = false
    await clock.advance(1000)
    assert.equal(now(book.find('github', USE)).version, 1)
    assert.equal(book.fresh, true)
    assert.deepEqual(
      lines.map((line) => line.split(' {')[0]),
      ['info secrets loaded', 'warn secret store away', 'info secrets loaded'],
    )
    book.close()
  })

  test('away from the start: unavailable at once, and found once it is there', async () => {
    const { clock, open, put, state, lines } = aBook()
    await put()
    state.away = true
    const book = open()
    await assert.rejects(async () => book.find('github', USE), type('CredentialUnavailable'))
    await settle()
    assert.throws(() => book.find('github', USE), type('CredentialUnavailable'))
    assert.equal(lines.length, 0, 'the connection may only be on its way')
    await clock.advance(60_000)
    assert.deepEqual(
      lines.map((line) => line.split(' {')[0]),
      ['warn secret store away'],
      'told once',
    )
    state.away = false
    await clock.advance(1000)
    assert.equal(now(book.find('github', USE)).version, 1)
    book.close()
  })

  test('a name that was not there before is unavailable rather than unknown', async () => {
    const { clock, open, state } = aBook()
    const book = open()
    await settle()
    assert.throws(() => book.find('new', USE), type('UnknownCredential'))
    state.away = true
    await clock.advance(1000)
    assert.throws(() => book.find('new', USE), type('CredentialUnavailable', /not known when/))
    book.close()
  })
})

describe('records that are refused', () => {
  test('an edited, a moved and a rolled-back record are unavailable and logged; the others serve on', async () => {
    const { clock, memory, open, put, state, lines } = aBook()
    await put()
    const old = (await memory.load(null))?.records.get('github') ?? ''
    await put({ values: { token: 'two' } })
    await put({ name: 'good' })
    const book = open()
    await settle()
    const EDITS: [record: string, reason: RegExp][] = [
      [old, /rolled back to revision 1; revision 2 was there before/],
      [old.replace('billing', '*'), /edited, moved/],
      [(await memory.load(null))?.records.get('good') ?? '', /made for another/],
      ['{}', /not a record/],
    ]
    for (const [record, reason] of EDITS) {
      state.replace.set('github', record)
      await clock.advance(1000)
      assert.throws(() => book.find('github', USE), type('CredentialUnavailable', /stored record is refused/, reason))
      assert.match(lines.at(-1) ?? '', reason)
      assert.equal(now(book.find('good', USE)).version, 1)
    }
    state.replace.clear()
    await clock.advance(1000)
    assert.equal(now(book.find('github', USE)).version, 2)
    book.close()
  })
})

describe('versions beside each other', () => {
  const OVERLAP = 20_000
  const tokenOf = (found: Secret | Promise<Secret>): string | undefined => now(found).values.token

  /** Version 1, and version 2 with an overlap. */
  async function inOverlap() {
    const scene = aBook()
    await scene.put()
    const book = scene.open()
    await settle()
    const first = now(book.find('github', USE))
    await scene.admin.rotate('github', { values: { token: 'two' }, overlapMs: OVERLAP })
    await scene.clock.advance(1000)
    return { ...scene, book, first }
  }

  test('calls get the new one, and the one before is the other until the overlap ends', async () => {
    const { book, first, clock } = await inOverlap()
    const second = now(book.find('github', USE))
    assert.equal(second.values.token, 'two')
    assert.equal(book.other(second, USE), first, 'the object that calls in flight hold')
    assert.equal(book.other(first, USE), second)
    await clock.advance(OVERLAP)
    assert.equal(book.other(second, USE), null)
    assert.equal(book.other(first, USE), second, 'a call that began long ago')
    book.close()
  })

  test('the other is given to no caller and for no origin that it is not bound to', async () => {
    const { book, admin, clock } = await inOverlap()
    await admin.rotate('github', {
      values: { token: 'three' },
      callers: ['billing', 'shipping'],
      origins: [USE.origin, 'https://b.example'],
    })
    await clock.advance(1000)
    const current = now(book.find('github', { ...USE, caller: 'shipping' }))
    assert.equal(book.other(current, { ...USE, caller: 'shipping' }), null)
    assert.equal(book.other(current, { ...USE, origin: 'https://b.example' }), null)
    assert.equal(book.other(current, USE)?.values.token, 'two')
    book.close()
  })

  test('the one that was taken is preferred, for its origin, until the versions change', async () => {
    const { book, admin, clock, put, first } = await inOverlap()
    await put({ name: 'elsewhere', origins: [USE.origin] })
    book.prefer(first, USE)
    assert.equal(book.find('github', USE), first)
    book.prefer(now(book.find('github', USE)), USE)
    assert.equal(book.find('github', USE), first)
    const second = book.other(first, USE)
    assert.ok(second)
    book.prefer(second, USE)
    assert.equal(book.find('github', USE), second)
    book.prefer(first, USE)
    await clock.advance(OVERLAP)
    assert.equal(book.find('github', USE), second, 'the overlap has ended')
    await admin.rotate('github', { values: { token: 'three' } })
    await clock.advance(1000)
    book.prefer(second, USE)
    await admin.rotate('github', { values: { token: 'four' } })
    await clock.advance(1000)
    assert.equal(tokenOf(book.find('github', USE)), 'four')
    book.close()
  })

  test('what is preferred at one origin is not at another', async () => {
    const { open, put, admin, clock } = aBook()
    const origins = [USE.origin, 'https://b.example']
    await put({ origins })
    await admin.rotate('github', { values: { token: 'two' } })
    const book = open()
    await settle()
    const old = book.other(now(book.find('github', USE)), USE)
    assert.ok(old)
    book.prefer(old, USE)
    await clock.advance(1000)
    assert.equal(book.find('github', USE), old)
    assert.equal(tokenOf(book.find('github', { ...USE, origin: 'https://b.example' })), 'two')
    book.close()
  })

  test('one that is to come is not used before its instant, and then at once', async () => {
    const { open, put, admin, clock } = aBook()
    await put()
    await admin.rotate('github', { values: { token: 'two' }, notBefore: clock.date() + 300, overlapMs: 0 })
    const book = open()
    await settle()
    const first = now(book.find('github', USE))
    assert.equal(book.other(first, USE), null)
    await clock.advance(299)
    assert.equal(tokenOf(book.find('github', USE)), 'one')
    await clock.advance(1)
    assert.equal(tokenOf(book.find('github', USE)), 'two')
    book.close()
  })

  const NONE: [name: string, terms: (at: number) => Terms, because: RegExp][] = [
    [
      'expired',
      (at) => ({ expiresAt: at + 100 }),
      /version 1 expired at 2026-01-01T00:00:00\.100Z; the call was not made without it/,
    ],
    ['not yet valid', (at) => ({ notBefore: at + 60_000 }), /version 1 is not valid before 2026-01-01T00:01:00\.000Z/],
  ]
  for (const [name, terms, because] of NONE)
    test(`${name}: unavailable, saying why to those who may use it, and nothing to others`, async () => {
      const { open, put, clock } = aBook()
      await put({}, terms(clock.date()))
      const book = open()
      await settle()
      await clock.advance(100)
      assert.throws(() => book.find('github', USE), type('CredentialUnavailable', because))
      assert.throws(() => book.find('github', { ...USE, caller: 'shipping' }), type('UnknownCredential'))
      book.close()
    })

  test('revoked: within a second nobody gets it, whoever held it has no other, and a successor is found', async () => {
    const { book, admin, clock, first } = await inOverlap()
    await admin.revoke('github', 2)
    await clock.advance(1000)
    assert.equal(book.find('github', USE), first)
    assert.equal(book.other(first, USE), null)
    await admin.revoke('github', null)
    await clock.advance(1000)
    assert.throws(() => book.find('github', USE), type('CredentialUnavailable', /version 2 was revoked at/))
    await admin.rotate('github', { values: { token: 'three' } })
    await clock.advance(1000)
    assert.equal(tokenOf(book.find('github', USE)), 'three')
    book.close()
  })

  test('a record that was sealed anew is the same secret: its object stays', async () => {
    const { book, memory, sealer, clock } = await inOverlap()
    const before = book.find('github', USE)
    const { record, revision } = await memory.get('github')
    const opened = sealer.open('github', record ?? '')
    await memory.put('github', sealer.seal({ ...opened, revision: revision + 1 }), { after: revision, revision: revision + 1 })
    await clock.advance(1000)
    assert.equal(book.find('github', USE), before)
    book.close()
  })
})

describe('what is known of the end of a secret', () => {
  const DAY = 86_400_000
  const ends = (lines: readonly string[]): string[] => lines.filter((line) => line.includes('expire'))

  test('is announced once at each threshold, and at the end; the gauges have it all along', async () => {
    const { clock, sealer, memory, put, lines } = aBook()
    const start = clock.date()
    let jumped = 0
    await put({}, { expiresAt: start + 2 * DAY })
    const log = {
      log: (level: string, event: string, fields = {}) => void lines.push(`${level} ${event} ${JSON.stringify(fields)}`),
    }
    const book = openBook({ store: memory, sealer, clock: { ...clock, date: () => start + jumped }, log })
    await settle()
    for (let hours = 0; hours < 49; hours++) {
      jumped = hours * 3_600_000
      await clock.advance(1000)
    }
    assert.deepEqual(
      ends(lines).map((line) => JSON.parse(line.slice(line.indexOf('{'))).afterMs ?? 'over'),
      [2 * DAY, DAY, 3_600_000, 'over'],
    )
    assert.match(ends(lines)[3] ?? '', /^error secret expired \{"credential":"github@1","until":"2026-01-03T00:00:00\.000Z"\}$/)
    assert.deepEqual([...book.samples()], [{ name: 'github', createdAt: start, expiresAt: start + 2 * DAY }])
    book.close()
  })

  test('is no news where a successor stands', async () => {
    const { open, put, admin, clock, lines } = aBook()
    await put({}, { expiresAt: clock.date() + DAY })
    await admin.rotate('github', { values: { token: 'two' }, notBefore: clock.date() + DAY / 2 })
    const book = open()
    await settle()
    await clock.advance(1000)
    assert.deepEqual(ends(lines), [])
    book.close()
  })
})

test('a record below its high-water mark is refused, whether the mark was there before or came later', async () => {
  const { clock, sealer, memory, put, lines } = aBook()
  await put()
  const marks = new Map([['github', 1]])
  let changed = false
  const book = openBook({
    ...{
      store: memory,
      sealer,
      clock,
      log: { log: (_level, event, fields) => void lines.push(`${event} ${JSON.stringify(fields)}`) },
    },
    marks: { of: (name) => marks.get(name) ?? 0, follow: async () => changed, raise: async () => {} },
  })
  await settle()
  assert.equal(now(book.find('github', USE)).version, 1)
  marks.set('github', 2)
  changed = true
  await clock.advance(500)
  assert.throws(
    () => book.find('github', USE),
    type('CredentialUnavailable', /stored record is refused/, /rolled back to revision 1; revision 2/),
  )
  const refusals = (): number => lines.filter((line) => line.startsWith('secret refused')).length
  assert.equal(refusals(), 1)
  await clock.advance(5000)
  assert.equal(refusals(), 1)
  await put({ values: { token: 'two' } })
  await clock.advance(500)
  assert.equal(now(book.find('github', USE)).version, 2)
  book.close()
})

test('marks that cannot be read are as they were, and that is said once', async () => {
  const { clock, sealer, memory, put, lines } = aBook()
  await put()
  const book = openBook({
    ...{ store: memory, sealer, clock, log: { log: (_level, event) => void lines.push(event) } },
    marks: { of: () => 1, follow: () => Promise.reject(new GatewayError('Overloaded', 'cannot be read')), raise: async () => {} },
  })
  await settle()
  await clock.advance(5000)
  assert.equal(now(book.find('github', USE)).version, 1)
  assert.equal(lines.filter((line) => line === 'secret high-water marks not read').length, 1)
  book.close()
})
