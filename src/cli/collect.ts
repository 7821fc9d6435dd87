/** `gapcam collect`: stores the events of all nodes of a broker in SQLite or PostgreSQL, and acknowledges them to the nodes. */
import type { Command } from 'commander'
import { setTimeout as wait } from 'node:timers/promises'
import { startCollector } from '../collect/collector.js'
import type { Database } from '../collect/database.js'
import { openPostgres } from '../collect/postgres.js'
import { prepareSchema } from '../collect/schema.js'
import { openSqlite } from '../collect/sqlite.js'
import { fileFaultOf, GapcamError } from '../errors.js'
import { createLogger } from '../log.js'
import { otherConnection } from '../run/connection.js'
import { keepSecretsOf, readSecret } from '../secrets.js'
import { addFlags, configFrom, type FlagValues } from './flags.js'
import { untilSignal, type Stop } from './signals.js'

/** Registers the command. */
export function collectCommand(program: Command): void {
  addFlags(
    program
      .command('collect')
      .description('store the events of all nodes in a database, and acknowledge them; see docs/fleet.md'),
    ['mqtt.broker', 'logLevel'],
  )
    .option('--sqlite <file>', 'SQLite file; made where it is missing')
    .option('--postgres <url>', 'PostgreSQL, such as postgres://gapcam@db/fleet')
    .option('--password-file <file>', 'file with the password of the database')
    .option(
      '--share <name>',
      'collectors of this name share the events; they need one database. none: each takes all of them',
      'gapcam-collect',
    )
    .action((values: FlagValues) => untilSignal((stop) => collect(values, stop)))
}

async function collect(values: FlagValues, { signal }: Stop): Promise<void> {
  const { config } = configFrom(values)
  const share = String(values['share'])
  if (!/^[^/+#\s]{1,64}$/.test(share))
    throw new GapcamError('USAGE', `--share: ${JSON.stringify(share)} must not contain /, +, # or spaces`)
  const group = share === 'none' ? null : share
  const log = createLogger(config.logLevel)
  const database = await openDatabase(values)
  try {
    const found = await prepareSchema(database)
    log.info({ found }, `${database.name}: ${found === 0 ? 'tables are made' : 'tables are there'}`)
    const connect = otherConnection(config)
    const collector = startCollector({ connect, base: config.mqtt.base, group, database, log })
    await wait(2 ** 31 - 1, undefined, { signal }).catch(() => undefined)
    await collector.close()
    const { added, repeated, invalid } = collector.stats()
    process.stderr.write(`${added} events stored, ${repeated} were stored before, ${invalid} messages were no events\n`)
  } finally {
    await database.close()
  }
}

function openDatabase({ sqlite, postgres, passwordFile }: FlagValues): Promise<Database> {
  if ((sqlite === undefined) === (postgres === undefined))
    throw new GapcamError('USAGE', 'gapcam collect needs one database: --sqlite FILE or --postgres URL')
  if (sqlite !== undefined) return openSqlite(String(sqlite))
  const url = String(postgres)
  keepSecretsOf(url)
  if (!/^postgres(ql)?:\/\/./.test(url) || !URL.canParse(url))
    throw new GapcamError('USAGE', '--postgres: this is not an address such as postgres://gapcam@db/fleet')
  if (passwordFile === undefined) return openPostgres(url)
  try {
    return openPostgres(url, readSecret(String(passwordFile)))
  } catch (error) {
    throw new GapcamError('USAGE', `--password-file: ${String(passwordFile)} cannot be read: ${fileFaultOf(error)}`)
  }
}
