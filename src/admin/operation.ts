// What an operation of the admin entrance is made of: one that reads answers; one that changes something first says what it is
// about to do, so that it can be recorded before it is done.
import type { ADMIN_ENTRANCES, AdminInput, AdminOperation, AdminOutput } from '../descriptor/admin-entrances.ts'
import type { AdminExport } from '../model/administration.ts'
import type { AuditAct } from '../model/ports.ts'

/** For the record: never a value of a secret. */
export type Facts = AuditAct['detail']

/** Something checked as far as it can be, and not done yet. */
export interface Deed<Answer> {
  readonly detail: Facts
  /** `detail`: what is known only now, such as the version that a secret got. */
  carryOut(): Promise<{ readonly answer: Answer; readonly detail?: Facts }>
}

export type Reading<O extends AdminOperation> = (input: AdminInput<O>) => AdminOutput<O> | Promise<AdminOutput<O>>
export type Doing<O extends AdminOperation> = (
  input: AdminInput<O>,
  who: string,
) => Deed<AdminOutput<O>> | Promise<Deed<AdminOutput<O>>>

/** `format`: the one of its row that was asked for; null: JSON. */
export type Exporting<O extends AdminOperation> = (
  input: AdminInput<O>,
  format: string | null,
) => Promise<{ readonly json: AdminOutput<O> } | AdminExport>

/** One for each row of the table. */
export type Operations = {
  readonly [O in AdminOperation]: (typeof ADMIN_ENTRANCES)[O] extends { readonly changes: true }
    ? Doing<O>
    : (typeof ADMIN_ENTRANCES)[O] extends { readonly formats: readonly string[] }
      ? Exporting<O>
      : Reading<O>
}
