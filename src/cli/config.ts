/** `gapcam config show|export|validate|schema`: prints and checks the configuration. Secrets are masked. */
import type { Command } from 'commander'
import { openCamera } from '../camera/sources.js'
import { configJsonSchema, showConfig, type LoadedConfig } from '../config/config.js'
import type { Config } from '../config/schema.js'
import { stateDirectory } from '../config/state-directory.js'
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
    checkNames(configFrom(values).config)
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
