/** `gapcam config show|export|validate|schema`: prints and checks the configuration. Secrets are masked. */
import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { openCamera } from '../camera/sources.js'
import { configJsonSchema, showConfig, type LoadedConfig } from '../config/config.js'
import type { Config } from '../config/schema.js'
import { ownBundle } from '../config/model.js'
import { stateDirectory } from '../config/state-directory.js'
import { modelNamed } from '../config/zones.js'
import { createTopics } from '../publish/topics.js'
import { readOverrides, type Overrides } from '../run/commands/settings.js'
import { exportedYaml, settingRows, type ShownRow } from './config-settings.js'
import { addFlags, configFrom, type FlagValues } from './flags.js'
import { wantsJson, writeJson, writeTable } from './output.js'

/** Registers the command. */
export function configCommand(program: Command): void {
  const config = program.command('config').description('show or check the configuration')
  addFlags(
    config
      .command('show')
      .description('print every key with its value and the place it comes from; secrets are hidden'),
  ).action((values: FlagValues) => {
    const loaded = configFrom(values)
    const added = settingRows(loaded, settingsOf(loaded))
    const rows = showConfig(loaded).filter(({ key }) => !added.some((row) => row.key === key))
    const shown: readonly ShownRow[] = [...rows, ...added]
    if (wantsJson(values['json'] === true)) for (const entry of shown) writeJson(entry)
    else
      writeTable([
        ['key', 'value', 'from'],
        ...shown.map(({ key, value, origin }) => [key, value === undefined ? '' : JSON.stringify(value), origin]),
      ])
  })
  addFlags(
    config
      .command('export')
      .description('print YAML that does what the file does together with what commands have set; without secrets'),
  ).action((values: FlagValues) => {
    const loaded = configFrom(values)
    process.stdout.write(exportedYaml(loaded, settingsOf(loaded)))
  })
  addFlags(
    config.command('validate').description('check flags, environment and file; the exit status is 2 if they are wrong'),
  ).action((values: FlagValues) => {
    const { config: read, warnings } = configFrom(values)
    checkNames(read)
    for (const warning of [...warnings, ...missingFiles(read)]) process.stderr.write(`warning  ${warning}\n`)
    process.stderr.write('the configuration is valid\n')
  })
  config
    .command('schema')
    .description('print the JSON Schema of the configuration file')
    .action(() => {
      process.stdout.write(`${JSON.stringify(configJsonSchema(), null, 2)}\n`)
    })
}

/** What commands have set on this node; empty, with a warning, where that cannot be read. */
function settingsOf({ config }: LoadedConfig): Overrides {
  const { overrides, fault } = readOverrides(stateDirectory(config))
  if (fault !== null) process.stderr.write(`${fault}; it counts as empty\n`)
  return overrides
}

/** Throws what a run would throw on any machine: for ids that cannot be topics, and sources of an unknown kind. */
function checkNames({ mqtt, node, cameras }: Config): void {
  const topics = createTopics(mqtt.base, node)
  for (const { id, source, zones } of cameras) {
    topics.camera('state', id)
    for (const zone of zones ?? []) topics.camera('state', `${id}/${zone.id}`)
    if (source !== '') openCamera(source, {})
  }
}

/** Files that a run would miss on this machine. No error: the configuration may be for another one. */
function missingFiles(config: Config): string[] {
  const { model, labels, models, cameras, mqtt } = config
  const ofModels = Object.entries(models.named).flatMap(([name, entry]): [string, string | undefined][] => [
    [`models.${name}.path`, entry.path],
    [`models.${name}.labels`, entry.labels],
  ])
  const ofZones = cameras.flatMap(({ id, zones = [] }) =>
    zones.flatMap((zone): [string, string | undefined][] => {
      const pathOf = (name: string | undefined): string | undefined => {
        const found = name === undefined || Object.hasOwn(models.named, name) ? null : modelNamed(name, models.named)
        return found && 'path' in found ? found.path : undefined
      }
      return [
        [`model of the zone ${id}/${zone.id}`, pathOf(zone.model)],
        [`second model of the zone ${id}/${zone.id}`, pathOf(zone.then?.model)],
      ]
    }),
  )
  // A name without a file is that of a bundle, which a run looks for in the state directory.
  const own: [string, string | undefined][] = [['model', ownBundle(config) === null ? model || undefined : undefined]]
  const others: [string, string | undefined][] = [
    ['labels', labels],
    ['mqtt.ca', mqtt.ca],
    ['mqtt.cert', mqtt.cert],
  ]
  return [...own, ...others, ...ofModels, ...ofZones].flatMap(([key, file]) =>
    file === undefined || existsSync(file) ? [] : [`${key}: ${file} does not exist on this machine`],
  )
}
