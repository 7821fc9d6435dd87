/** Whether Home Assistant listens to the same broker: it retains `online` on its status topic, or its discovery topics are there. */
import type { Config } from '../config/schema.js'
import type { Incoming } from '../publish/mqtt.js'
import { tryBroker } from '../publish/visit.js'
import { checksOf, type Check, type Examination } from './check.js'

const { ok, warn, skip } = checksOf('home assistant')
const waitMs = 1000

export const examineHomeAssistant: Examination = async ({ broker, config, signal }) => {
  if (broker === null || 'why' in broker) return [skip('Home Assistant', 'there is no broker of others to meet it on')]
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
  return [skip('Home Assistant', 'the broker does not take us; see above')]
}

function verdictOf(seen: readonly Incoming[], config: Config): Check {
  const status = seen.find(({ topic }) => topic === `${config.homeassistantPrefix}/status`)?.payload.toString()
  const devices = seen.filter(({ topic }) => topic.endsWith('/config'))
  const isOurs = devices.some(({ topic, payload }) => topic.includes(config.node) && payload.includes('gapcam'))
  if (status === 'online')
    return ok(
      'Home Assistant',
      `it is online on this broker${isOurs ? ', and this node is announced' : '; this node is not announced yet'}`,
    )
  if (status === 'offline')
    return warn(
      'Home Assistant',
      'it was on this broker and is offline now',
      'Start Home Assistant, or reload its MQTT integration.',
    )
  if (devices.length > 0)
    return ok(
      'Home Assistant',
      `${devices.length} devices are announced on this broker${isOurs ? ', this node among them' : ''}; Home Assistant says nothing of itself (its birth message is not retained)`,
    )
  return skip('Home Assistant', 'nothing of it is on this broker; that is right where it is not used')
}
