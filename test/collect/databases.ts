/** A real SQLite file and a real PostgreSQL server, for tests of the collector. */
import { join } from 'node:path'
import type { Database } from '../../src/collect/database.js'
import { openPostgres } from '../../src/collect/postgres.js'
import { openSqlite } from '../../src/collect/sqlite.js'
import { temporaryFolder } from '../publish/mosquitto.js'
import { projectRoot } from '../shared.js'

interface PostgresServer {
  readonly url: string
  start(): Promise<void>
  stop(): Promise<void>
  close(): Promise<void>
}

const { postgresPrograms, startPostgres } = (await import(join(projectRoot, 'scripts/faults/postgres.mjs'))) as {
  postgresPrograms(): string | null
  startPostgres(): Promise<PostgresServer>
}

/** Where CI=true it must be there. */
export const hasPostgres = postgresPrograms() !== null || process.env['CI'] === 'true'

let server: PostgresServer | null = null

/** One server for all tests of a file. */
export async function postgres(): Promise<PostgresServer> {
  server ??= await startPostgres()
  return server
}

/** For afterAll. */
export async function closePostgres(): Promise<void> {
  await server?.close()
  server = null
}

/** An empty database of this kind; `again` opens it a second time. */
export async function emptyDatabase(
  kind: Database['dialect'],
): Promise<{ readonly database: Database; readonly again: () => Promise<Database> }> {
  if (kind === 'sqlite') {
    const file = join(temporaryFolder(), 'fleet.db')
    return { database: await openSqlite(file), again: () => openSqlite(file) }
  }
  const { url } = await postgres()
  const database = await openPostgres(url)
  await database.transaction(async (query) => {
    for (const table of ['events', 'gaps', 'nodes', 'schema']) await query(`drop table if exists gapcam_${table}`)
  })
  return { database, again: () => openPostgres(url) }
}
