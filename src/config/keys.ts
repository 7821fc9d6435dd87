/** Lists the keys of the configuration with their descriptions and defaults, for help, docs and error messages. */
import { z } from 'zod'
import { configSchema } from './schema.js'

/** One key of the configuration, for help and docs. */
export interface ConfigKey {
  /** Dotted path, such as mqtt.broker. */
  readonly key: string
  readonly description: string
  readonly default: unknown
  /** Whether the value is text, so that `123` or `yes` must not be read as a number or a boolean. */
  readonly isText: boolean
  /** Whether the value is a list. */
  readonly isList: boolean
}

let allKeys: readonly ConfigKey[] | null = null

/** Every key with its description and default. */
export function configKeys(): readonly ConfigKey[] {
  allKeys ??= keysOf(z.toJSONSchema(configSchema, { io: 'input', unrepresentable: 'any' }) as JsonSchema, '')
  return allKeys
}

interface JsonSchema {
  readonly type?: string
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly items?: JsonSchema
  readonly description?: string
  readonly default?: unknown
}

function keysOf(schema: JsonSchema, prefix: string): ConfigKey[] {
  return Object.entries(schema.properties ?? {}).flatMap(([name, property]): ConfigKey[] => {
    const key = prefix + name
    if (property.properties) return keysOf(property, `${key}.`)
    const own = {
      key,
      description: property.description ?? '',
      default: property.default,
      isText: property.type === 'string',
      isList: property.type === 'array',
    }
    return property.items?.properties ? [own, ...keysOf(property.items, `${key}[].`)] : [own]
  })
}
