/** `gapcam config show|validate|schema`: prints and checks the configuration. Secrets are masked. */
import type { Command } from 'commander'
import { openCamera } from '../camera/sources.js'
import { configJsonSchema, showConfig } from '../config/config.js'
import type { Config } from '../config/schema.js'
import { createTopics } from '../publish/topics.js'
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
    const shown = showConfig(configFrom(values))
    if (wantsJson(values['json'] === true)) for (const entry of shown) writeJson(entry)
    else
      writeTable([
        ['key', 'value', 'from'],
        ...shown.map(({ key, value, origin }) => [key, value === undefined ? '' : JSON.stringify(value), origin]),
      ])
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

/** Throws what a run would throw on any machine: for ids that cannot be topics, and sources of an unknown kind. */
function checkNames({ mqtt, node, cameras }: Config): void {
  const topics = createTopics(mqtt.base, node)
  for (const { id, source } of cameras) {
    topics.camera('state', id)
    if (source !== '') openCamera(source, {})
  }
}
