// What the command line needs from its surroundings.
import type { Sealer } from '../credentials/seal.ts'
import type { SecretStore } from '../model/ports.ts'

export interface CliStores {
  readonly secrets: SecretStore
  /** null: the configuration names no key, so that secrets live in the gateway's memory alone. */
  readonly sealer: Sealer | null
  close(): void
}

export interface CliPorts {
  /** Starts the gateway; resolves once it listens. Rejects with a message for the operator. */
  serve(configFile: string | null): Promise<void>
  /** `configFile` as given by --config; null: the default. Rejects with a message for the operator. */
  openStores(configFile: string | null): Promise<CliStores>
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean }
  readonly stdout: NodeJS.WritableStream
  readonly stderr: NodeJS.WritableStream
}

/** Its message is for the person at the terminal. */
export class CliError extends Error {}
