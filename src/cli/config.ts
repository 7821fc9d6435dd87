/** `gapcam config show|validate|schema`. */
import type { Command } from 'commander'
import { configJsonSchema, showConfig } from '../config/config.js'
import { addFlags, configFrom, type FlagValues } from './flags.js'
import { wantsJson, writeJson, writeTable } from './output.js'

export function configCommand(program: Command): void {
  const config = program.command('config').description('look at the configuration')
  addFlags(config.command('show').description('every key with its value and where it comes from; secrets are hidden'))
    .action((values: FlagValues) => {
      const shown = showConfig(configFrom(values))
      if (wantsJson(values['json'] === true)) for (const entry of shown) writeJson(entry)
      else writeTable([['key', 'value', 'from'], ...shown.map(({ key, value, origin }) => [key, value === undefined ? '' : JSON.stringify(value), origin])])
    })
  addFlags(config.command('validate').description('check flags, environment and file; exit status 2 if they are wrong'))
    .action((values: FlagValues) => {
      configFrom(values)
      process.stderr.write('the configuration is valid\n')
    })
  config.command('schema').description('JSON Schema of the configuration file')
    .action(() => { process.stdout.write(`${JSON.stringify(configJsonSchema(), null, 2)}\n`) })
}
