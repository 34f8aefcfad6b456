// Many callers with much to hold, and a gateway with little memory: what is too much is refused and answered, and the process
// lives. In a process of its own, since one that runs out of memory takes everybody with it.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { KEY, startGateway } from '../bench/servers.ts'
import { createRudeUpstream } from '../support/rude-upstream.ts'
import { until } from '../support/wire.ts'

const CALLERS = 120
/** Each holds several times as much once it is understood; of all together the heap below bears a small part. */
const PAIRS = 12_000

test('more calls than memory bears end in Overloaded, not in the end of the process', async (t) => {
  const upstream = await createRudeUpstream({})
  const folder = mkdtempSync(join(tmpdir(), 'sallyport-memory-'))
  const before = process.env.NODE_OPTIONS
  process.env.NODE_OPTIONS = '--max-old-space-size=160'
  const gateway = await startGateway(upstream.origin, join(folder, 'gateway'), {
    adapter: { limits: { concurrency: 200, queue: 0 }, pool: { connections: 200 }, breaker: false, retry: { total: 0 } },
    root: { metrics: { public: true } },
  }).finally(() => {
    if (before === undefined) delete process.env.NODE_OPTIONS
    else process.env.NODE_OPTIONS = before
  })
  t.after(async () => {
    gateway.stop()
    await upstream.close()
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  })
  const call = (descriptor: object): Promise<{ status: number; type: string | undefined; retryAfter: string | null }> =>
    fetch(`${gateway.url}/v1/requests`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-sallyport-key': KEY },
      body: JSON.stringify(descriptor),
    }).then(async (response) => {
      const { error } = (await response.json()) as { error: { type: string } | null }
      return { status: response.status, type: error?.type, retryAfter: response.headers.get('retry-after') }
    })
  const fields = Array.from({ length: PAIRS }, (_, index) => [`field-${index}`, 'x'.repeat(40)])
  const held = {
    url: `${upstream.origin}/stalls-before-headers`,
    method: 'POST',
    data: fields,
    timeout: { read: '2s', total: '2s' },
  }
  const answers = await Promise.all(Array.from({ length: CALLERS }, () => call(held)))
  const types = Map.groupBy(answers, ({ type }) => type)
  t.diagnostic([...types].map(([type, of]) => `${type} ${of.length}`).join(', '))
  assert.ok((types.get('Overloaded')?.length ?? 0) > 0, 'some are refused')
  assert.deepEqual(new Set(types.keys()).difference(new Set(['Overloaded', 'ReadTimeout', 'Timeout'])), new Set())
  for (const { status, retryAfter } of types.get('Overloaded') ?? []) assert.deepEqual([status, retryAfter], [503, '1'])
  await until('it serves again', async () => (await call({ url: `${upstream.origin}/ok` })).status === 200, 5000)
})
