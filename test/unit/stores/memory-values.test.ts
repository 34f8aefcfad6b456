// What is particular to values in memory: they are bounded. What every store does: every-store.test.ts.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createMemoryValues } from '../../../src/stores/memory-values.ts'
import { createFakeClock } from '../../support/fake-clock.ts'

test('past its bound the longest unwritten go', async () => {
  const store = createMemoryValues(createFakeClock(), { maxCharacters: 10 })
  const put = async (key: string, value: string) => store.put(key, value, { ttlMs: 1000, ifVersion: await store.version(key) })
  await put('a', '1234')
  await put('b', '1234')
  await put('a', '4321')
  await put('c', '1234')
  assert.deepEqual(await Promise.all(['a', 'b', 'c'].map(async (key) => (await store.get(key))?.value)), [
    '4321',
    undefined,
    '1234',
  ])
  await put('big', 'x'.repeat(11))
  assert.deepEqual([await store.get('a'), await store.get('c')], [null, null])
  assert.equal((await store.get('big'))?.value.length, 11, 'the one just written stays')
  await store.delete('big')
  await put('d', '1234567890')
  assert.equal((await store.get('d'))?.value, '1234567890')
})
