/** The tables, as a list of steps: a database of an earlier gapcam gets the steps that it lacks, in one transaction. */
import { GapcamError } from '../errors.js'
import type { Database, Query } from './database.js'

type Step = Readonly<Record<Database['dialect'], readonly string[]>>

const steps: readonly Step[] = [
  // 1: events by their identity, gaps, and how far the events of each node are complete.
  both((type) => [
    `create table gapcam_events (
      node text not null, boot text not null, seq bigint not null, place text not null, type text not null,
      ts ${type.time} not null, label text not null, score ${type.real}, is_backlog ${type.truth} not null,
      payload ${type.json} not null, received_at ${type.time} not null, primary key (node, boot, seq))`,
    `create table gapcam_gaps (
      node text not null, place text not null, from_seq bigint not null, to_seq bigint not null,
      missing bigint not null, boot text not null, received_at ${type.time} not null,
      primary key (node, place, from_seq))`,
    'create table gapcam_nodes (node text primary key, boot text not null, through bigint not null)',
  ]),
  // 2: what the dashboard asks by, and what completeness is found by.
  both(() => [
    'create index gapcam_events_ts on gapcam_events (ts)',
    'create index gapcam_events_seq on gapcam_events (node, seq, boot)',
  ]),
]

interface Types {
  readonly time: string
  readonly real: string
  readonly truth: string
  readonly json: string
}

function both(make: (types: Types) => readonly string[]): Step {
  return {
    sqlite: make({ time: 'text', real: 'real', truth: 'integer', json: 'text' }),
    // json and not jsonb: the text stays as the node wrote it, and every escape is accepted.
    postgres: make({ time: 'timestamptz', real: 'double precision', truth: 'smallint', json: 'json' }),
  }
}

/** The version of the tables that this gapcam writes. */
export const schemaVersion = steps.length

/**
 * Brings the tables to `version` (default: the present one); resolves with the version that was found, 0 for none. Rejects with
 * DATABASE_NEWER for tables of a later gapcam, which are not touched.
 */
export function prepareSchema(database: Database, version = schemaVersion): Promise<number> {
  return database.transaction(async (query) => {
    await query('create table if not exists gapcam_schema (version integer not null)')
    // Collectors that start together wait here for each other.
    if (database.dialect === 'postgres') await query('lock table gapcam_schema in exclusive mode')
    const found = await versionOf(query)
    if (found > version)
      throw new GapcamError(
        'DATABASE_NEWER',
        `${database.name}: its tables have version ${found}, and this gapcam knows ${version}`,
      )
    for (const step of steps.slice(found, version)) for (const sql of step[database.dialect]) await query(sql)
    if (found === 0) await query('insert into gapcam_schema values ($1)', [version])
    else if (found < version) await query('update gapcam_schema set version = $1', [version])
    return found
  })
}

async function versionOf(query: Query): Promise<number> {
  const [row] = await query('select version from gapcam_schema')
  return Number(row?.['version'] ?? 0)
}
