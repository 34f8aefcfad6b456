// A gateway of two workers, as a process that an operator starts.
import { randomBytes } from 'node:crypto'
import type { TestContext } from 'node:test'
import { type GatewayProcess, startProcess } from './process.ts'
import { until } from './wire.ts'

/** Sealing keys, without which several workers are refused. */
export const aSealingKey = () => ({ key: `k1:${randomBytes(32).toString('base64')}` })

/** Of the workers as the log tells them, oldest first. */
export function pidsOf(gateway: GatewayProcess): number[] {
  return [...gateway.logs().matchAll(/"pid":(\d+),"event":"worker serves"/g)].map(([, pid]) => Number(pid))
}

/** Resolves when both serve. `store`: beside a sealing key. */
export async function workersFor(
  t: TestContext,
  { store, ...config }: { store?: object } & Record<string, unknown>,
): Promise<GatewayProcess> {
  const whole = { overload: { eventLoopDelay: '1m' }, ...config, store: { ...aSealingKey(), ...store } }
  const gateway = await startProcess(t, whole, ['--workers', '2'])
  await until('both are told', () => pidsOf(gateway).length === 2, 30_000)
  return gateway
}
