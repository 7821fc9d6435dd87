/**
 * Checks whether Home Assistant uses the same broker: its status topic has a retained `online`, or discovery messages are
 * retained.
 */
import type { Config } from '../config/schema.js'
import type { Incoming } from '../publish/mqtt.js'
import { tryBroker } from '../publish/visit.js'
import { checksOf, type Check, type Examination } from './check.js'

const { ok, warn, skip } = checksOf('home assistant')
/** Retained messages arrive within this time. */
const waitMs = 1000

/** The check of the area `home assistant`. */
export const examineHomeAssistant: Examination = async ({ broker, config, signal }) => {
  if (broker === null || 'why' in broker) return [skip('Home Assistant', 'no external broker is configured')]
  const seen: Incoming[] = []
  const clientId = `gapcam-${config.node}-doctor`
  const will = { topic: `${config.mqtt.base}/${config.node}/doctor`, payload: '', qos: 0 as const, isRetained: false }
  const attempt = await tryBroker({
    connect: broker,
    clientId,
    will,
    signal,
    onMessage: (message) => seen.push(message),
  })
  if (attempt.ok) {
    await attempt.connection.subscribe([{ filter: `${config.homeassistantPrefix}/#`, qos: 0 }])
    await new Promise((resolve) => setTimeout(resolve, waitMs))
    await attempt.connection.close(1000)
    return [verdictOf(seen, config)]
  }
  return [skip('Home Assistant', 'the broker refuses the connection; see above')]
}

function verdictOf(seen: readonly Incoming[], config: Config): Check {
  const status = seen.find(({ topic }) => topic === `${config.homeassistantPrefix}/status`)?.payload.toString()
  const devices = seen.filter(({ topic }) => topic.endsWith('/config'))
  const isOurs = devices.some(({ topic, payload }) => topic.includes(config.node) && payload.includes('gapcam'))
  if (status === 'online')
    return ok(
      'Home Assistant',
      `Home Assistant is online on this broker${isOurs ? ', and this node is announced' : '; this node is not announced yet'}`,
    )
  if (status === 'offline')
    return warn(
      'Home Assistant',
      'Home Assistant was on this broker and is offline now',
      'Start Home Assistant, or reload its MQTT integration.',
    )
  if (devices.length > 0)
    return ok(
      'Home Assistant',
      `${devices.length} devices are announced on this broker${isOurs ? ', this node among them' : ''}; whether Home Assistant runs is unknown (its birth message is not retained)`,
    )
  return skip('Home Assistant', 'Home Assistant is not on this broker; that is right if you do not use it')
}
