import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CallDeed } from '../../../src/model/ports.ts'
import { createTotals } from '../../../src/telemetry/merge.ts'
import { createMetrics } from '../../../src/telemetry/metrics.ts'

const CALL: CallDeed = {
  ...{ entrance: 'requests', adapter: 'a', caller: 'c', status: 200, error: null, fault: 'none', rule: null, seconds: 0.02 },
  ...{ ownSeconds: 0.001, traceId: null, bytesOut: 1, bytesIn: 1, replayed: false },
}

function aWorker(calls: number) {
  const metrics = createMetrics({ version: '1' })
  for (let i = 0; i < calls; i++) metrics.callEnded(CALL)
  metrics.configTaken([])
  return metrics
}

const line = (text: string, pattern: RegExp): string[] => text.split('\n').filter((each) => pattern.test(each))

test('the page of several processes is their sum, and what one had counted stays when it has ended', async () => {
  const [one, two] = [aWorker(2), aWorker(3)]
  const totals = createTotals()
  totals.put('1', await one.samples())
  totals.put('2', await two.samples())
  const calls = async (): Promise<string[]> => line((await totals.print()).text, /^sallyport_calls_total/)
  assert.match((await calls()).join(), / 5$/)
  totals.bury('1')
  two.callEnded(CALL)
  totals.put('2', await two.samples())
  totals.put('3', await aWorker(0).samples())
  assert.match((await calls()).join(), / 6$/)
  const { text } = await totals.print()
  assert.deepEqual(
    line(text, /^sallyport_call_duration_seconds_(count|bucket.*0\.01"|bucket.*0\.025")/).map((each) => each.split(' ').at(-1)),
    ['0', '6', '6'],
  )
  assert.deepEqual(line(text, /^sallyport_config_generation/), ['sallyport_config_generation 1'])
  assert.deepEqual(
    line(text, /^process_resident_memory_bytes/).map((each) => each.slice(0, 42)),
    ['process_resident_memory_bytes{worker="2"} ', 'process_resident_memory_bytes{worker="3"} '],
  )
})

test('a page in OpenMetrics is one too', async () => {
  const totals = createTotals()
  totals.put('1', await aWorker(2).samples())
  const { contentType, text } = await totals.print('application/openmetrics-text')
  assert.match(contentType, /openmetrics/)
  assert.match(text, /# TYPE sallyport_calls counter/)
  assert.match(text, /# EOF\n$/)
})

test('of what callers have left of their quotas the least of all processes is told', async () => {
  const totals = createTotals()
  for (const [process, left] of [0.75, 0.25, 1].entries()) {
    const worker = aWorker(0)
    worker.watchQuotas(() => [{ caller: 'c', quota: 'rate', left }])
    totals.put(String(process), await worker.samples())
  }
  assert.deepEqual(line((await totals.print()).text, /^sallyport_caller_quota/), [
    'sallyport_caller_quota_left_ratio{caller="c",quota="rate"} 0.25',
  ])
})

test('of the exemplars of several processes the newest stands at its bucket', async () => {
  const totals = createTotals()
  for (const [process, traceId, at] of [
    ['1', 'a'.repeat(32), 3000],
    ['2', 'b'.repeat(32), 5000],
    ['3', 'c'.repeat(32), 4000],
    ['4', null, 9000],
  ] as const) {
    const worker = createMetrics({ version: '1', processMetrics: false, date: () => at })
    worker.callEnded({ ...CALL, traceId })
    totals.put(process, await worker.samples())
  }
  totals.bury('2')
  const { text } = await totals.print('application/openmetrics-text')
  assert.deepEqual(line(text, /^sallyport_call_duration_seconds_bucket.*trace_id/), [
    `sallyport_call_duration_seconds_bucket{le="0.025",adapter="a"} 4 # {trace_id="${'b'.repeat(32)}"} 0.02 5`,
  ])
  assert.ok(!(await totals.print()).text.includes('trace_id'), 'plain text has none')
})

test('a refused configuration or a sick store of one process is seen', async () => {
  const [well, sick] = [aWorker(0), aWorker(0)]
  well.storeHealthy('redis', true)
  sick.storeHealthy('redis', false)
  sick.configRefused()
  const totals = createTotals()
  totals.put('1', await well.samples())
  totals.put('2', await sick.samples())
  const { text } = await totals.print()
  assert.deepEqual(line(text, /^sallyport_store_healthy|^sallyport_config_last_reload_successful/), [
    'sallyport_store_healthy{store="redis"} 0',
    'sallyport_config_last_reload_successful 0',
  ])
})
