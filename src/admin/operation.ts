// What an operation of the admin entrance is made of: one that reads answers; one that changes something first says what it is
// about to do, so that it can be recorded before it is done.
import type { ADMIN_ENTRANCES, AdminInput, AdminOperation, AdminOutput } from '../descriptor/admin-entrances.ts'
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

/** One for each row of the table. */
export type Operations = {
  readonly [O in AdminOperation]: (typeof ADMIN_ENTRANCES)[O] extends { readonly changes: true } ? Doing<O> : Reading<O>
}
