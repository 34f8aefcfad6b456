import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMemoryIdempotency } from '../../../src/stores/memory-idempotency.ts'
import { createFakeClock } from '../../support/fake-clock.ts'

const finish = async (store: ReturnType<typeof createMemoryIdempotency>, key: string, outcome: string): Promise<void> => {
  const claim = await store.claim(key, 'print', 1000)
  if (claim.state === 'mine') await claim.complete(outcome, 60_000)
}

test('past its number of keys it forgets the oldest outcome, never a call under way', async () => {
  const store = createMemoryIdempotency({ clock: createFakeClock(), maxKeys: 3 })
  await store.claim('under-way', 'print', 1000)
  for (const key of ['a', 'b', 'c']) await finish(store, key, 'x')
  assert.equal((await store.claim('under-way', 'print', 1000)).state, 'running')
  assert.equal((await store.claim('c', 'print', 1000)).state, 'done')
  assert.equal((await store.claim('a', 'print', 1000)).state, 'mine')
})

test('past its number of characters it forgets the oldest outcomes', async () => {
  const store = createMemoryIdempotency({ clock: createFakeClock(), maxCharacters: 100 })
  await finish(store, 'a', 'x'.repeat(60))
  await finish(store, 'b', 'x'.repeat(60))
  assert.equal((await store.claim('b', 'print', 1000)).state, 'done')
  assert.equal((await store.claim('a', 'print', 1000)).state, 'mine')
})
