// What the command line needs from its surroundings.

import type { Trail } from '../audit/open-trail.ts'
import type { SinkSettings } from '../audit/sinks.ts'
import type { CallerAdministration } from '../callers/administration.ts'
import type { SecretAdministration } from '../credentials/administer.ts'
import type { AuditSink } from '../model/audit-sink.ts'
import type { AuditAct } from '../model/ports.ts'

export interface CliStores {
  /** null: the configuration names no key, so that secrets live in the gateway's memory alone. */
  readonly secrets: SecretAdministration | null
  /**
   * Does `work` with a record in the audit trail before it and one after. `act`: noun and deed, such as `secret.set`; `subject`: what
   * it is done to, by name; `detail`: never a value of a secret. Rejects, with `work` undone, where that cannot be recorded. Whatever
   * changes something stands in one.
   */
  act<T>(act: string, subject: string | null, work: () => Promise<T>, detail?: AuditAct['detail']): Promise<T>
  readonly callers: CallerAdministration
  /** Who sits at the command line. */
  readonly who: string
  close(): void
}

/** The audit trail of an installation, or a copy of one. */
export interface CliTrail extends Trail {
  /** As of `audit.sinks`. */
  openSink(settings: SinkSettings): AuditSink
}

export interface CliPorts {
  /** Starts the gateway; resolves once it listens. `workers` null: as configured. Rejects with a message for the operator. */
  serve(configFile: string | null, workers: number | 'auto' | null): Promise<void>
  /** `configFile` as given by --config; null: the default. Rejects with a message for the operator. */
  openStores(configFile: string | null): Promise<CliStores>
  /** `dir`: the folder with the files; null: that of the installation. Rejects with a message for the operator. */
  openTrail(from: { readonly configFile: string | null; readonly dir: string | null }): Promise<CliTrail>
  /** Aborts when somebody interrupts what would go on for ever. */
  interrupted(): AbortSignal
  readonly env: Readonly<Record<string, string | undefined>>
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean }
  /** A terminal gets what a person can read; anything else what a script can. */
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean }
  readonly stderr: NodeJS.WritableStream
}

/** Its message is for the person at the terminal. */
export class CliError extends Error {
  readonly exitCode: 1 | 2

  /** `exitCode`: 1, it failed; 2, it was not understood. */
  constructor(message: string, exitCode: 1 | 2 = 1) {
    super(message)
    this.exitCode = exitCode
  }
}

/** It failed, and what there is to say has been said. */
export class AlreadyTold extends CliError {
  constructor() {
    super('')
  }
}
