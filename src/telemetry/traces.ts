// Whether calls are told as traces; where they are, the OpenTelemetry SDK is loaded, and only then.
import type { Traces, TracesPorts } from './otel-traces.ts'
import { readTraceSettings } from './trace-settings.ts'

export type OpenTraces = (ports: TracesPorts) => Traces

/** null: off. `env`: the OTEL_* variables, see trace-settings.ts; the exporter reads those of the wire from the process itself. */
export async function loadTraces(env: Readonly<Record<string, string | undefined>>): Promise<OpenTraces | null> {
  const settings = readTraceSettings(env)
  if (settings === null) return null
  const { createTraces } = await import('./otel-traces.ts')
  return (ports) => createTraces(settings, ports)
}
