import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { createSecretAdministration } from '../../../src/credentials/administer.ts'
import { createSecretBook, type SecretBook } from '../../../src/credentials/book.ts'
import { NO_HIGH_WATER } from '../../../src/credentials/high-water.ts'
import type { Terms } from '../../../src/credentials/make-version.ts'
import type { NewSecret } from '../../../src/credentials/provision.ts'
import { createEphemeralSealer } from '../../../src/credentials/seal.ts'
import { FIXED_KEYS } from '../../../src/credentials/sources/key-file.ts'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import type { Secret, SecretSnapshot, SecretStore } from '../../../src/model/ports.ts'
import { createMemorySecrets } from '../../../src/stores/memory-secrets.ts'
import { createFakeClock, settle } from '../../support/fake-clock.ts'

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
    createSecretBook({
      ...{ store, sealer, clock, log, keys: FIXED_KEYS, marks: NO_HIGH_WATER },
      staleForMs: STALE_FOR_MS,
    })
  const admin = createSecretAdministration({ store: memory, sealer, clock, marks: NO_HIGH_WATER })
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
    const { clock, open, put, state } = aBook()
    await put()
    state.away = true
    const book = open()
    await assert.rejects(async () => book.find('github', USE), type('CredentialUnavailable'))
    await settle()
    assert.throws(() => book.find('github', USE), type('CredentialUnavailable'))
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
