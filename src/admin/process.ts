// What an operator sees and changes of the running process: its configuration and the level of its log.

import type { Config } from '../config/config.ts'
import { ConfigError, type Fault } from '../config/faults.ts'
import type { AdminInput, AdminOutput } from '../descriptor/admin-entrances.ts'
import { GatewayError } from '../errors/gateway-error.ts'
import type { ConfigChange } from './config-change.ts'
import { viewConfig } from './config-view.ts'
import type { LogLevelSwitch } from './log-level.ts'
import type { Deed } from './operation.ts'

export interface Reloaded extends ConfigChange {
  /** Each with its file, line and key. */
  readonly warnings: readonly string[]
}

export interface ProcessPorts {
  readonly config: () => Config
  /** Reads the configuration anew, as a signal does. Rejects with ConfigError where it is refused, and the old one stands. */
  readonly reload: () => Promise<Reloaded>
  readonly logLevel: LogLevelSwitch
}

export function createProcessOperations({ config, reload, logLevel }: ProcessPorts) {
  return {
    getConfig: (): AdminOutput<'getConfig'> => ({ config: viewConfig(config()) }),
    reloadConfig: (): Deed<AdminOutput<'reloadConfig'>> => ({
      detail: {},
      async carryOut() {
        const { warnings, ...change } = await reload().catch((error: unknown) => {
          throw error instanceof ConfigError ? refused(error) : error
        })
        return {
          answer: { ...change, warnings: [...warnings] },
          detail: { needsRestart: change.needsRestart.join(' ') || null },
        }
      },
    }),
    getLogLevel: (): AdminOutput<'getLogLevel'> => viewLevel(logLevel),
    setLogLevel: ({ body }: AdminInput<'setLogLevel'>, who: string): Deed<AdminOutput<'setLogLevel'>> => ({
      detail: { level: body.level, forMs: body.expiresIn ?? null },
      async carryOut() {
        logLevel.set(body.level, who, body.expiresIn ?? null)
        return { answer: viewLevel(logLevel) }
      },
    }),
  }
}

/** One slip in a large file can make thousands. */
const MOST_TOLD = 100

function viewLevel(logLevel: LogLevelSwitch): AdminOutput<'getLogLevel'> {
  const { level, configured, by, until } = logLevel.state()
  return { level, configured, by, until: until === null ? null : new Date(until).toISOString() }
}

function refused({ faults }: ConfigError): GatewayError {
  const more = faults.length > 1 ? ` and ${faults.length - 1} more, see detail` : ''
  const { file, line, key, message } = faults[0] as Fault
  return new GatewayError(
    'InvalidDescriptor',
    `the configuration is refused and the old one stands: ${file}:${line} ${key} ${message}${more}`,
    {
      detail: faults
        .slice(0, MOST_TOLD)
        .map(({ key, message, file, line, column }) => ({ pointer: pointerOf(key), message, file, line, column, key })),
    },
  )
}

/** `adapters[0].timeout.read` → `/adapters/0/timeout/read`. */
function pointerOf(key: string): string {
  return key === ''
    ? ''
    : `/${key
        .replaceAll(/\[(\d+)\]/g, '.$1')
        .replaceAll('~', '~0')
        .replaceAll('/', '~1')
        .replaceAll('.', '/')}`
}
