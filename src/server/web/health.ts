/** The panel of the node's health: frame rate, faults, board and broker in a few numbers. */
import type { LiveState } from '../messages.js'
import { el, panel, setText } from './dom.js'
import { text } from './text.js'
import { duration } from './time.js'

export interface HealthPanel {
  readonly element: HTMLElement
  update(state: LiveState): void
}

type Level = 'ok' | 'warn' | 'bad'

export function createHealth(): HealthPanel {
  const list = el('dl', { class: 'tiles' })
  const tiles = new Map<string, { tile: HTMLElement; value: HTMLElement }>()

  function set(name: string, value: string, level: Level = 'ok'): void {
    let entry = tiles.get(name)
    if (!entry) {
      entry = { value: el('dd'), tile: el('div', { class: 'tile' }, el('dt', {}, name)) }
      entry.tile.append(entry.value)
      list.append(entry.tile)
      tiles.set(name, entry)
    }
    setText(entry.value, value)
    entry.tile.dataset['level'] = level
  }

  return {
    element: panel(text.health.title, '', list),
    update({ fps, dropped, invalid, recoveries, soc, rssMb, uptimeS, mqtt }) {
      const words = text.health
      set(words.fps, fps.toFixed(1), fps === 0 ? 'warn' : 'ok')
      set(words.dropped, String(dropped))
      set(words.invalid, String(invalid), invalid > 0 ? 'warn' : 'ok')
      set(words.recoveries, String(recoveries), recoveries > 0 ? 'warn' : 'ok')
      if (soc.temperatureC !== null) set(words.temperature, ...temperatureOf(soc.temperatureC, soc))
      set(
        words.broker,
        mqtt.url === null ? words.noBroker : mqtt.isConnected ? words.connected : words.away,
        mqtt.url !== null && !mqtt.isConnected ? 'bad' : 'ok',
      )
      set(
        words.queue,
        mqtt.lost > 0 ? `${mqtt.queued}, ${words.lost(mqtt.lost)}` : String(mqtt.queued),
        mqtt.lost > 0 ? 'bad' : mqtt.queued > 0 ? 'warn' : 'ok',
      )
      set(words.memory, `${rssMb} MB`)
      set(words.uptime, duration(uptimeS * 1000))
    },
  }
}

/** The temperature with the faults of the board, and how bad they are. */
function temperatureOf(celsius: number, { isThrottled, isUndervolted }: LiveState['soc']): readonly [string, Level] {
  const words = [`${celsius.toFixed(0)} °C`]
  if (isThrottled) words.push(text.health.throttled)
  if (isUndervolted) words.push(text.health.undervolted)
  const isFault = words.length > 1
  return [words.join(', '), isFault || celsius >= 85 ? 'bad' : celsius >= 75 ? 'warn' : 'ok']
}
