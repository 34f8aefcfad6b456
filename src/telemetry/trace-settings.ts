// The standard OTEL_* variables that decide whether traces are made and which; what concerns the wire (endpoint, headers, TLS,
// compression, time-out) the exporter reads itself. Pure.

/** By the specification's names. */
export type SamplerName = 'always_on' | 'always_off' | 'traceidratio'

export interface TraceSettings {
  readonly sampler: SamplerName
  /** Of traceidratio: 0 to 1. */
  readonly ratio: number
  /** A caller's own decision stands above the sampler's. */
  readonly parentBased: boolean
  /** Of the queue to the collector; what comes while it is full is dropped. Absent: the SDK's own (2048 spans, 5 s, 512 a time, 30 s). */
  readonly maxQueueSize?: number
  readonly scheduledDelayMillis?: number
  readonly maxExportBatchSize?: number
  readonly exportTimeoutMillis?: number
}

type Env = Readonly<Record<string, string | undefined>>

const SAMPLERS: readonly string[] = ['always_on', 'always_off', 'traceidratio'] satisfies SamplerName[]

/** null: off, which is the default: no endpoint is set, or OTEL_SDK_DISABLED=true, or OTEL_TRACES_EXPORTER=none. */
export function readTraceSettings(env: Env): TraceSettings | null {
  const endpoint = given(env, 'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT') ?? given(env, 'OTEL_EXPORTER_OTLP_ENDPOINT')
  if (endpoint === null || given(env, 'OTEL_SDK_DISABLED')?.toLowerCase() === 'true') return null
  if (given(env, 'OTEL_TRACES_EXPORTER')?.toLowerCase() === 'none') return null
  // An unknown sampler is as none given, as the specification has it.
  const named = given(env, 'OTEL_TRACES_SAMPLER')?.toLowerCase() ?? ''
  const bare = named.replace(/^parentbased_/, '')
  const isKnown = SAMPLERS.includes(bare)
  return {
    sampler: isKnown ? (bare as SamplerName) : 'always_on',
    ratio: ratioOf(given(env, 'OTEL_TRACES_SAMPLER_ARG')),
    parentBased: !isKnown || bare !== named,
    ...count(env, 'OTEL_BSP_MAX_QUEUE_SIZE', 'maxQueueSize'),
    ...count(env, 'OTEL_BSP_SCHEDULE_DELAY', 'scheduledDelayMillis'),
    ...count(env, 'OTEL_BSP_MAX_EXPORT_BATCH_SIZE', 'maxExportBatchSize'),
    ...count(env, 'OTEL_BSP_EXPORT_TIMEOUT', 'exportTimeoutMillis'),
  }
}

/** An empty variable is as none. */
function given(env: Env, name: string): string | null {
  return env[name]?.trim() || null
}

function ratioOf(text: string | null): number {
  const ratio = Number(text ?? 1)
  return ratio >= 0 && ratio <= 1 ? ratio : 1
}

function count<Key extends string>(env: Env, name: string, key: Key): { readonly [key in Key]?: number } {
  const value = Number(given(env, name))
  return (Number.isInteger(value) && value > 0 ? { [key]: value } : {}) as { readonly [key in Key]?: number }
}
