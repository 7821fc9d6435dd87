/** The systemd of this machine, asked and told through its own program. */
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { rename, rm, writeFile } from 'node:fs/promises'
import { GapcamError, messageOf } from '../errors.js'
import { unitHeader } from './unit.js'

const unitFolder = '/etc/systemd/system'
const unitFile = (name: string): string => `${unitFolder}/${name}.service`

/** Throws SERVICE_FAILED where services cannot be installed: no systemd runs, or we are not root. */
export function requireSystemd(what: string): void {
  // sd_booted(3): this folder is there where systemd is the init of the machine.
  if (!existsSync('/run/systemd/system'))
    throw new GapcamError('SERVICE_FAILED', `a service cannot be ${what}: systemd does not run on this machine`)
  if (process.getuid?.() !== 0)
    throw new GapcamError('SERVICE_FAILED', `a service cannot be ${what} by this user: it needs root`, {
      hint: 'Run it with sudo, or look at the unit with gapcam service install --print.',
    })
}

/** Writes the unit, and starts the service where wanted, or restarts it with its new unit. */
export async function installUnit(name: string, text: string, start: boolean): Promise<void> {
  requireOurs(name)
  const file = unitFile(name)
  try {
    await writeFile(`${file}.new`, text, { mode: 0o644 })
    await rename(`${file}.new`, file)
  } catch (error) {
    throw new GapcamError('SERVICE_FAILED', `${file} cannot be written: ${messageOf(error)}`, { cause: error })
  }
  await systemctl('daemon-reload')
  await systemctl('enable', `${name}.service`)
  if (start) await systemctl('restart', `${name}.service`)
}

/** Stops and removes the service. Throws where there is none of ours. */
export async function uninstallUnit(name: string): Promise<void> {
  if (!existsSync(unitFile(name)))
    throw new GapcamError('SERVICE_FAILED', `there is no service ${name}`, {
      hint: 'gapcam service status lists what systemd knows.',
    })
  requireOurs(name)
  await systemctl('disable', '--now', `${name}.service`)
  await rm(unitFile(name))
  await systemctl('daemon-reload')
}

function requireOurs(name: string): void {
  const file = unitFile(name)
  if (!existsSync(file) || readFileSync(file, 'utf8').startsWith(unitHeader)) return
  throw new GapcamError('SERVICE_FAILED', `${file} was not written by gapcam`, {
    hint: 'Choose another name with --name, or remove that file.',
  })
}

const properties = [
  'LoadState',
  'ActiveState',
  'SubState',
  'UnitFileState',
  'MainPID',
  'NRestarts',
  'StatusText',
  'ActiveEnterTimestamp',
  'MemoryCurrent',
  'WatchdogUSec',
  'WatchdogTimestamp',
  'Result',
  'ExecMainStatus',
] as const

export type ServiceState = Readonly<Record<(typeof properties)[number], string>>

/** What systemd says of a service. Anybody may ask. */
export async function serviceState(name: string): Promise<ServiceState> {
  const text = await systemctl('show', `${name}.service`, `--property=${properties.join(',')}`)
  const values = new Map(
    text.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )
  return Object.fromEntries(properties.map((property) => [property, values.get(property) ?? ''])) as ServiceState
}

/** A start waits until the service is ready, which the unit allows 180 s. */
const commandMs = 240_000

function systemctl(...args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile('systemctl', args, { timeout: commandMs }, (error, stdout, stderr) => {
      if (!error) return resolve(stdout)
      const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
      const why = isMissing
        ? 'systemctl is not there: does systemd run on this machine?'
        : stderr.trim().split('\n')[0] || messageOf(error)
      reject(
        new GapcamError('SERVICE_FAILED', `systemctl ${args[0]}: ${why}`, {
          cause: error,
          ...(isMissing ? {} : { hint: 'journalctl -u gapcam -e says more.' }),
        }),
      )
    })
  })
}
