/** Where a node's outbox lies and how large it may grow, from the configuration. */
import { join } from 'node:path'
import type { Config } from './schema.js'
import { stateDirectory } from './state-directory.js'

export interface OutboxLocation {
  readonly folder: string
  readonly maxBytes: number
  readonly maxAgeMs: number
  readonly ack: Config['mqtt']['ack']
}

/** What `gapcam run` and `gapcam outbox` open: the folder `outbox` in the node's state directory. */
export function outboxOptions(config: Config): OutboxLocation {
  const { maxMb, maxAgeH } = config.outbox
  return {
    folder: join(stateDirectory(config), 'outbox'),
    maxBytes: maxMb * 2 ** 20,
    maxAgeMs: maxAgeH * 3_600_000,
    ack: config.mqtt.ack,
  }
}
