import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readTraceSettings } from '../../../src/telemetry/trace-settings.ts'
import { loadTraces } from '../../../src/telemetry/traces.ts'

const ON = { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector:4318' }

for (const [name, env] of [
  ['nothing is set', {}],
  ['the endpoint is empty', { OTEL_EXPORTER_OTLP_ENDPOINT: ' ' }],
  ['the SDK is disabled', { ...ON, OTEL_SDK_DISABLED: 'TRUE' }],
  ['the exporter is none', { ...ON, OTEL_TRACES_EXPORTER: 'none' }],
] as const)
  test(`traces are off where ${name}`, async () => {
    assert.equal(readTraceSettings(env), null)
    assert.equal(await loadTraces(env), null)
  })

for (const [sampler, arg, expected] of [
  [undefined, undefined, { sampler: 'always_on', ratio: 1, parentBased: true }],
  ['always_on', undefined, { sampler: 'always_on', ratio: 1, parentBased: false }],
  ['parentbased_always_off', undefined, { sampler: 'always_off', ratio: 1, parentBased: true }],
  ['traceidratio', '0.25', { sampler: 'traceidratio', ratio: 0.25, parentBased: false }],
  ['parentbased_traceidratio', '7', { sampler: 'traceidratio', ratio: 1, parentBased: true }],
  ['parentbased_traceidratio', 'many', { sampler: 'traceidratio', ratio: 1, parentBased: true }],
  ['made_up', undefined, { sampler: 'always_on', ratio: 1, parentBased: true }],
] as const)
  test(`OTEL_TRACES_SAMPLER=${sampler} with ${arg} is ${JSON.stringify(expected)}`, () => {
    const env = { ...ON, OTEL_TRACES_SAMPLER: sampler, OTEL_TRACES_SAMPLER_ARG: arg }
    assert.deepEqual(readTraceSettings(env), expected)
  })

test('the traces endpoint alone is enough, and the batch takes its own variables, whole and above 0', () => {
  const settings = readTraceSettings({
    OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://collector:4318/v1/traces',
    OTEL_BSP_MAX_QUEUE_SIZE: '10',
    OTEL_BSP_SCHEDULE_DELAY: '0',
    OTEL_BSP_EXPORT_TIMEOUT: 'soon',
  })
  assert.deepEqual(settings, { sampler: 'always_on', ratio: 1, parentBased: true, maxQueueSize: 10 })
})
