/** What the collector asks of a database. The SQL is the same for all; `sqlite.ts` and `postgres.ts` are the drivers. */

/** A value of a row; numbers of PostgreSQL's bigint come as numbers too. */
export type Value = string | number | null
export type Row = Readonly<Record<string, Value>>

/** Runs a statement with `$1`, `$2`, … and resolves with its rows. */
export type Query = (sql: string, values?: readonly Value[]) => Promise<readonly Row[]>

export interface Database {
  /** Where it is, without a password. */
  readonly name: string
  readonly dialect: 'sqlite' | 'postgres'
  /**
   * Runs `work` in one transaction, one at a time. When the promise resolves it is committed, on disk. Rejects with
   * DATABASE_FAILED where the database is away, full or refuses, and then nothing of it is stored.
   */
  transaction<Result>(work: (query: Query) => Promise<Result>): Promise<Result>
  close(): Promise<void>
}
