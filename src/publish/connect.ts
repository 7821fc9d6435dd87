/** Connects to a broker. MQTT.js is loaded at the first attempt: a node without a broker saves the memory it takes. */
import type { AttemptOptions } from './mqtt-client.js'
import type { Attempt } from './mqtt.js'

/** Tries once. Never rejects. */
export async function connectOnce(options: AttemptOptions): Promise<Attempt> {
  const { tryOnce } = await import('./mqtt-client.js')
  return tryOnce(options)
}
