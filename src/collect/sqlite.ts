/**
 * SQLite: the one of Node (22.13 and later), else the package libsql, whose interface is the same for what is used here. Loaded
 * only when asked for.
 */
import { GapcamError, messageOf } from '../errors.js'
import { loadOptional } from '../optional-package.js'
import type { Database, Query, Row, Value } from './database.js'

/** What both drivers have. */
interface Handle {
  exec(sql: string): void
  prepare(sql: string): { all(...values: readonly Value[]): Row[] }
  close(): void
}
type Driver = new (file: string) => Handle

/** Another collector's transaction may take this long. */
const busyTimeoutMs = 30_000

async function driver(): Promise<Driver> {
  // A name in a variable: TypeScript would look for the module, which older versions of Node do not have.
  const own = 'node:sqlite'
  try {
    return ((await import(own)) as { DatabaseSync: Driver }).DatabaseSync
  } catch {
    // This Node has none.
  }
  return loadOptional<Driver>({ name: 'libsql', neededBy: 'SQLite', more: ', or use Node 22.13 or later' })
}

/** Opens a file, made where it is missing. Rejects with DATABASE_FAILED, or CONFIG_INVALID without a driver. */
export async function openSqlite(file: string): Promise<Database> {
  const Sqlite = await driver()
  let handle: Handle
  try {
    handle = new Sqlite(file)
    handle.exec(`pragma busy_timeout = ${busyTimeoutMs}`)
    // Readers do not wait for the collector, and a commit is on disk when it returns.
    handle.exec('pragma journal_mode = wal')
    handle.exec('pragma synchronous = full')
  } catch (error) {
    throw failed(file, error)
  }
  const prepared = new Map<string, ReturnType<Handle['prepare']>>()
  const query: Query = (sql, values = []) => {
    let statement = prepared.get(sql)
    if (!statement) {
      statement = handle.prepare(sql.replaceAll(/\$(\d+)/g, '?$1'))
      // Statements differ by their number of rows: the usual ones stay.
      if (prepared.size < 100) prepared.set(sql, statement)
    }
    return Promise.resolve(statement.all(...values))
  }
  let last: Promise<unknown> = Promise.resolve()
  return {
    name: `SQLite ${file}`,
    dialect: 'sqlite',
    transaction(work) {
      const mine = last.then(async () => {
        try {
          handle.exec('begin immediate')
          const result = await work(query)
          handle.exec('commit')
          return result
        } catch (error) {
          try {
            handle.exec('rollback')
          } catch {
            // SQLite has ended the transaction by itself.
          }
          throw failed(file, error)
        }
      })
      last = mine.catch(() => undefined)
      return mine
    },
    async close() {
      await last
      handle.close()
    },
  }
}

function failed(file: string, error: unknown): GapcamError {
  if (error instanceof GapcamError) return error
  const message = messageOf(error)
  const isFull = /full/.test(message)
  return new GapcamError('DATABASE_FAILED', `SQLite ${file}: ${isFull ? 'the disk is full' : message}`, {
    cause: error,
  })
}
