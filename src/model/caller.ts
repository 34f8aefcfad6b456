// Who is calling, and what it may do.

export interface Grant {
  readonly adapter: string
  /** null: every method. */
  readonly methods: readonly string[] | null
  /** Path globs; null: every path. */
  readonly paths: readonly string[] | null
}

export interface Caller {
  readonly name: string
  readonly admin: boolean
  /** null: everything (the `local` caller of a gateway without callers). An empty list: nothing. */
  readonly may: readonly Grant[] | null
}
