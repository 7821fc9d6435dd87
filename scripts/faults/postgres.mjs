// A PostgreSQL server of its own for tests and faults: a new cluster in a temporary folder, on loopback.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort } from '../bench/loopback.mjs'

/** The folder of Debian's server programs; null where PostgreSQL is not installed. */
export function postgresPrograms() {
  const root = '/usr/lib/postgresql'
  const versions = existsSync(root)
    ? readdirSync(root).filter((name) => existsSync(`${root}/${name}/bin/postgres`))
    : []
  return versions.length === 0 ? null : `${root}/${versions.sort().at(-1)}/bin`
}

/** PostgreSQL refuses to run as root. */
const asUser = (command, args) =>
  process.getuid() === 0 ? ['runuser', ['-u', 'postgres', '--', command, ...args]] : [command, args]

export async function startPostgres() {
  const programs = postgresPrograms()
  const folder = mkdtempSync(join(tmpdir(), 'gapcam-postgres-'))
  if (process.getuid() === 0) {
    chmodSync(folder, 0o755)
    execFileSync('chown', ['postgres', folder])
  }
  const data = join(folder, 'data')
  const port = await freePort()
  execFileSync(
    ...asUser(`${programs}/initdb`, [
      '-D',
      data,
      '-A',
      'trust',
      '-U',
      'gapcam',
      '--no-sync',
      '--locale=C',
      '-E',
      'UTF8',
    ]),
    { stdio: 'ignore', cwd: folder },
  )
  let child = null
  const start = async () => {
    const settings = { port, listen_addresses: '127.0.0.1', unix_socket_directories: '', max_connections: 20 }
    const flags = Object.entries(settings).flatMap(([key, value]) => ['-c', `${key}=${value}`])
    child = spawn(...asUser(`${programs}/postgres`, ['-D', data, ...flags]), { stdio: 'ignore', cwd: folder })
    for (;;) {
      if (child.exitCode !== null) throw new Error('PostgreSQL ended at its start')
      if (await isReady(`${programs}/pg_isready`, port)) return
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  /** An immediate shutdown: no checkpoint, as after a crash. */
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const ended = once(child, 'exit')
    execFileSync(...asUser(`${programs}/pg_ctl`, ['-D', data, '-m', 'immediate', 'stop']), {
      stdio: 'ignore',
      cwd: folder,
    })
    await ended
  }
  await start()
  return {
    url: `postgres://gapcam@127.0.0.1:${port}/postgres`,
    start,
    stop,
    async close() {
      await stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

function isReady(program, port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      socket.destroy()
      const asked = spawn(program, ['-q', '-h', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' })
      asked.once('exit', (status) => resolve(status === 0))
    })
  })
}
