/** `gapcam service install|uninstall|status`: runs gapcam as a systemd service that starts with the machine. */
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Command } from 'commander'
import { loadAddon } from '../addon.js'
import { loadConfig } from '../config/config.js'
import { GapcamError } from '../errors.js'
import { planService } from '../service/plan.js'
import { installUnit, requireSystemd, serviceState, uninstallUnit, type ServiceState } from '../service/systemd.js'
import { unitText } from '../service/unit.js'
import { wantsJson, writeJson, writeTable } from './output.js'

interface InstallFlags {
  readonly name: string
  readonly config?: string
  readonly memoryMax: string
  readonly start: boolean
  readonly print?: boolean
  readonly dryRun?: boolean
}

/** The configuration of the service unless --config names another file. */
const usualConfig = '/etc/gapcam/gapcam.yaml'
const program = fileURLToPath(new URL('main.js', import.meta.url))

/** Registers the command. */
export function serviceCommand(parent: Command): void {
  const service = parent.command('service').description('run as a systemd service')
  named(service.command('install').description('write the unit, and start the service now and at every boot'))
    .option('--config <file>', `configuration of the service (default: ${usualConfig}, if it exists)`)
    .option('--memory-max <size>', 'memory limit, beyond which systemd ends the service, such as 800M or 60%', '60%')
    .option('--no-start', 'write and enable the unit, but do not start it')
    .option('--print', 'print the unit and change nothing')
    .option('--dry-run', 'the same as --print')
    .action(install)
  named(service.command('uninstall').description('stop the service and remove its unit')).action(uninstall)
  named(
    service.command('status').description('print the state of the service; the exit status is 1 if it does not run'),
  )
    .option('--json', 'one JSON object')
    .action(status)
}

function named(command: Command): Command {
  return command.option('--name <name>', 'name of the unit', 'gapcam')
}

function checkedName(name: string): string {
  if (!/^[A-Za-z0-9][\w.@-]{0,63}$/.test(name))
    throw new GapcamError(
      'USAGE',
      `--name: ${JSON.stringify(name)} is not a name for a unit; use letters, digits and . _ @ -`,
    )
  return name.replace(/\.service$/, '')
}

async function install({ name: given, config: file, memoryMax, start, print, dryRun }: InstallFlags): Promise<void> {
  const name = checkedName(given)
  if (!/^(\d+[KMGT]?|\d{1,2}%|100%|infinity)$/.test(memoryMax))
    throw new GapcamError('USAGE', `--memory-max: must be a size such as 800M or 60%, but is ${memoryMax}`)
  const isPrinted = print === true || dryRun === true
  if (!isPrinted) requireSystemd('installed')
  const configFile = file !== undefined ? resolve(file) : existsSync(usualConfig) ? usualConfig : undefined
  // Without the environment of this shell, which the service will not have.
  const { config } = loadConfig({ flags: {}, environment: {}, file: configFile })
  const loaded = loadAddon()
  const { unit, warnings } = planService({
    config,
    configFile,
    program,
    node: process.execPath,
    canNotify: 'addon' in loaded,
    memoryMax,
  })
  for (const warning of warnings) process.stderr.write(`warning  ${warning}\n`)
  if (!('addon' in loaded))
    process.stderr.write(
      `warning  the service has no watchdog, because the native addon is missing: ${loaded.reason}\n`,
    )
  if (isPrinted) {
    process.stdout.write(unitText(unit))
    return
  }
  await installUnit(name, unitText(unit), start)
  process.stderr.write(
    `installed  /etc/systemd/system/${name}.service${start ? ', and started' : ''}\ninspect    gapcam service status${name === 'gapcam' ? '' : ` --name ${name}`}, journalctl -u ${name} -f\n`,
  )
}

async function uninstall({ name: given }: { readonly name: string }): Promise<void> {
  const name = checkedName(given)
  requireSystemd('uninstalled')
  await uninstallUnit(name)
  process.stderr.write(`removed  ${name}.service; its data stays in /var/lib/private/gapcam\n`)
}

async function status({ name: given, json }: { readonly name: string; readonly json?: boolean }): Promise<void> {
  const state = await serviceState(checkedName(given))
  const rows = rowsOf(state)
  if (wantsJson(json)) writeJson(Object.fromEntries(rows))
  else writeTable(rows)
  if (state.ActiveState !== 'active') process.exitCode = 1
}

function rowsOf(state: ServiceState): [string, string][] {
  const isRunning = state.MainPID !== '0' && state.MainPID !== ''
  const megabytes = /^\d+$/.test(state.MemoryCurrent) ? `${Math.round(Number(state.MemoryCurrent) / 1e6)} MB` : ''
  const rows: [string, string][] = [
    ['state', state.LoadState === 'not-found' ? 'not installed' : `${state.ActiveState} (${state.SubState})`],
    ['starts with the machine', state.UnitFileState === 'enabled' ? 'yes' : 'no'],
    ['since', state.ActiveEnterTimestamp],
    ['says', state.StatusText],
    ['pid', isRunning ? state.MainPID : ''],
    ['memory', megabytes],
    ['restarts', state.NRestarts],
    ['last sign of progress', state.WatchdogTimestamp],
    ['last end', isRunning ? '' : `${state.Result}, status ${state.ExecMainStatus}`],
  ]
  return rows.filter(([, value]) => value !== '')
}
