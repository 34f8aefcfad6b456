import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { createSearchThread } from '../../../src/audit/search-thread.ts'
import { createFakeClock } from '../../support/fake-clock.ts'
import { aTrailFolder } from '../../support/trails.ts'

test('a search is answered by the thread, and one that makes no sense is refused as such', async (t) => {
  const { dataDir, open, call } = aTrailFolder(t)
  const chain = open()
  call(chain, { id: 'r-1' })
  const search = createSearchThread({ dataDir, compressAfterMs: null }, { clock: createFakeClock(), log: { log: () => {} } })
  try {
    const { records } = await search.search({ caller: 'billing' })
    assert.deepEqual(
      records.map((found) => found.kind === 'call' && found.id),
      ['r-1'],
    )
    await assert.rejects(search.search({ cursor: 'none' }), { type: 'InvalidDescriptor', message: /cursor/ })
    call(chain, { id: 'r-2' })
    const streamed: string[] = []
    for await (const found of search.stream({})) if (found.kind === 'call') streamed.push(found.id)
    assert.deepEqual(streamed, ['r-2', 'r-1'])
    rmSync(join(dataDir, 'audit'), { recursive: true })
    assert.deepEqual((await search.search({})).records, [])
  } finally {
    await search.close()
  }
  await assert.rejects(search.search({}), { type: 'Draining' })
})
