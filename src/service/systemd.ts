/** Installs, removes and queries the service through systemctl. Files that gapcam did not write are never touched. */
import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { rename, rm, writeFile } from 'node:fs/promises'
import { GapcamError, messageOf, writeFaultOf } from '../errors.js'
import { unitHeader } from './unit.js'

const unitFolder = '/etc/systemd/system'
const unitFile = (name: string): string => `${unitFolder}/${name}.service`

/** Throws SERVICE_FAILED if systemd does not run here or this user is not root. `what` is a participle: installed. */
export function requireSystemd(what: string): void {
  requireRunning(
    what,
    'gapcam service install --print prints the unit. In a container use its restart policy; docs/service.md says how.',
  )
  if (process.getuid?.() !== 0)
    throw new GapcamError('SERVICE_FAILED', `the service cannot be ${what} by this user: only root may do that`, {
      hint: 'Run the command with sudo. gapcam service install --print only prints the unit.',
    })
}

function requireRunning(what: string, hint: string): void {
  // sd_booted(3): this folder exists if systemd is the init process of the machine.
  if (!existsSync('/run/systemd/system'))
    throw new GapcamError('SERVICE_FAILED', `the service cannot be ${what}: systemd does not run on this machine`, {
      hint,
    })
}

/** Writes and enables the unit. With `start` the service is started, or restarted with its new unit. Throws SERVICE_FAILED. */
export async function installUnit(name: string, text: string, start: boolean): Promise<void> {
  requireOurs(name)
  const file = unitFile(name)
  try {
    await writeFile(`${file}.new`, text, { mode: 0o644 })
    await rename(`${file}.new`, file)
  } catch (error) {
    throw new GapcamError('SERVICE_FAILED', `${file} cannot be written: ${writeFaultOf(error)}`, { cause: error })
  }
  await systemctl('daemon-reload')
  await systemctl('enable', `${name}.service`)
  if (start) await systemctl('restart', `${name}.service`)
}

/** Stops the service and removes its unit. Throws SERVICE_FAILED if gapcam has installed no such service. */
export async function uninstallUnit(name: string): Promise<void> {
  if (!existsSync(unitFile(name)))
    throw new GapcamError('SERVICE_FAILED', `the service ${name} is not installed: ${unitFile(name)} does not exist`, {
      hint: 'Name the service with --name. systemctl list-unit-files lists all of them.',
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
    hint: 'Choose another name with --name, or remove the file yourself.',
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

/** Properties of a service as systemctl prints them; '' where systemd has none. */
export type ServiceState = Readonly<Record<(typeof properties)[number], string>>

/** The state of a service. It needs no rights. Throws SERVICE_FAILED where systemctl cannot be run. */
export async function serviceState(name: string): Promise<ServiceState> {
  requireRunning('queried', 'Run the command on the machine of the service.')
  const text = await systemctl('show', `${name}.service`, `--property=${properties.join(',')}`)
  const values = new Map(
    text.split('\n').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  )
  return Object.fromEntries(properties.map((property) => [property, values.get(property) ?? ''])) as ServiceState
}

/** Longer than the unit's TimeoutStartSec of 180 s: a start waits until the service is ready. */
const commandMs = 240_000

function systemctl(...args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile('systemctl', args, { timeout: commandMs }, (error, stdout, stderr) => {
      if (!error) return resolve(stdout)
      const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
      const why = isMissing
        ? 'systemctl is not installed, so systemd does not run on this machine'
        : stderr.trim().split('\n')[0] || messageOf(error)
      reject(
        new GapcamError('SERVICE_FAILED', `systemctl ${args[0]}: ${why}`, {
          cause: error,
          hint: isMissing
            ? 'gapcam service install --print prints the unit for another machine.'
            : `journalctl -u ${args.find((arg) => arg.endsWith('.service')) ?? 'gapcam.service'} -e shows the log of the service.`,
        }),
      )
    })
  })
}
