/** PostgreSQL through the package pg, loaded only when asked for. A lost connection is made again with the next transaction. */
import { GapcamError, messageOf } from '../errors.js'
import { loadOptional } from '../optional-package.js'
import type { Database, Query, Row } from './database.js'

interface Client {
  connect(): Promise<void>
  query(sql: string, values?: readonly unknown[]): Promise<{ readonly rows: Row[] }>
  end(): Promise<void>
  on(event: 'error' | 'end', listener: (error?: Error) => void): void
}
type Driver = new (options: Readonly<Record<string, unknown>>) => Client

const timeoutMs = 30_000

/** Connects. `password` replaces the one in the address. Rejects with DATABASE_FAILED, or CONFIG_INVALID without pg. */
export async function openPostgres(url: string, password?: string): Promise<Database> {
  const { Client: Postgres } = await loadOptional<{ Client: Driver }>({ name: 'pg', neededBy: 'PostgreSQL' })
  const address = new URL(url)
  const name = `PostgreSQL ${address.hostname}${address.pathname}`
  let client: Client | null = null
  const connected = async (): Promise<Client> => {
    if (client) return client
    const made = new Postgres({
      connectionString: url,
      ...(password === undefined ? {} : { password }),
      connectionTimeoutMillis: 10_000,
      query_timeout: timeoutMs,
      application_name: 'gapcam collect',
    })
    const gone = (): void => {
      if (client === made) client = null
    }
    made.on('error', gone)
    made.on('end', gone)
    await made.connect()
    client = made
    return made
  }
  const failed = (error: unknown): unknown =>
    error instanceof GapcamError
      ? error
      : new GapcamError('DATABASE_FAILED', `${name}: ${reasonOf(error)}`, { cause: error })
  let last: Promise<unknown> = Promise.resolve()
  await connected().catch((error: unknown) => {
    throw failed(error)
  })
  return {
    name,
    dialect: 'postgres',
    transaction(work) {
      const mine = last.then(async () => {
        let open: Client | null = null
        try {
          open = await connected()
          const within = open
          const query: Query = async (sql, values) => (await within.query(sql, values)).rows
          await query('begin')
          const result = await work(query)
          await query('commit')
          return result
        } catch (error) {
          // Whether the commit went through may not be known: the rows are sent again, and stored once.
          if (client === open) client = null
          void open?.end().catch(() => undefined)
          throw failed(error)
        }
      })
      last = mine.catch(() => undefined)
      return mine
    },
    async close() {
      await last
      await client?.end().catch(() => undefined)
    },
  }
}

function reasonOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ')
  return messageOf(error)
}
