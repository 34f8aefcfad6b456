import assert from 'node:assert/strict'
import { test } from 'node:test'
import { GatewayError } from '../../../src/errors/gateway-error.ts'
import type { KeyValueStore } from '../../../src/model/ports.ts'
import { createSessionIndex } from '../../../src/sessions/session-index.ts'
import { createSessionList } from '../../../src/sessions/session-list.ts'
import { createSessions } from '../../../src/sessions/sessions.ts'
import { aUrl } from '../../support/builders.ts'
import { CANARY_TOKEN, findCanaries } from '../../support/canary.ts'
import { createFakeClock } from '../../support/fake-clock.ts'

const HERE = aUrl('https://h.example.com/')

function build() {
  const clock = createFakeClock()
  const entries = new Map<string, { value: string; version: number }>()
  const state = { away: false }
  const store: KeyValueStore = {
    async get(key) {
      if (state.away) throw new GatewayError('Overloaded', 'away')
      return entries.get(key) ?? null
    },
    version: async (key) => entries.get(key)?.version ?? null,
    async put(key, value, { ifVersion }) {
      if ((entries.get(key)?.version ?? null) !== ifVersion) return false
      entries.set(key, { value, version: (ifVersion ?? 0) + 1 })
      return true
    },
    async delete(key) {
      entries.delete(key)
    },
  }
  const index = createSessionIndex(store)
  const sessions = createSessions({ store, clock, ttlMs: 60_000, index })
  const use = async (caller: string, name: string, line = `a=${CANARY_TOKEN}`) => {
    const jar = await sessions.open(caller, name)
    jar.store(HERE, [line])
    await sessions.save(caller, name, jar)
  }
  return { clock, entries, state, index, use, list: createSessionList(store, index) }
}

test('a caller’s sessions are listed by name, without a value', async () => {
  const { clock, use, list } = build()
  await use('billing', 'two')
  await use('billing', 'one')
  await use('billing', 'one', `b=${CANARY_TOKEN}; Domain=example.com`)
  await use('crm', 'theirs')
  const rows = await list.list('billing')
  assert.deepEqual(rows, [
    { caller: 'billing', name: 'one', cookies: 2, domains: ['example.com', 'h.example.com'], writtenAt: clock.date() },
    { caller: 'billing', name: 'two', cookies: 1, domains: ['h.example.com'], writtenAt: clock.date() },
  ])
  assert.deepEqual(findCanaries(JSON.stringify(rows)), [])
})

test('one that is forgotten is gone, and can begin anew', async () => {
  const { use, list } = build()
  await use('billing', 'one')
  assert.deepEqual([await list.forget('billing', 'one'), await list.forget('billing', 'one')], [true, false])
  assert.deepEqual(await list.list('billing'), [])
  await use('billing', 'one')
  assert.equal((await list.list('billing')).length, 1)
})

test('one whose jar expired is dropped from the list when it is looked at', async () => {
  const { use, list, index, entries } = build()
  await use('billing', 'one')
  entries.delete('session:billing:one')
  assert.deepEqual(await list.list('billing'), [])
  assert.deepEqual(await index.names('billing'), [])
})

test('the list is bounded, and one that cannot be noted works all the same', async () => {
  const { use, index, state } = build()
  for (let n = 0; n < 1005; n++) await index.note('billing', `s${n}`)
  const names = await index.names('billing')
  assert.deepEqual([names.length, names[0], names.at(-1)], [1000, 's5', 's1004'])
  state.away = true
  await index.note('billing', 'more')
  state.away = false
  await use('billing', 'one')
  assert.ok((await index.names('billing')).includes('one'))
})
