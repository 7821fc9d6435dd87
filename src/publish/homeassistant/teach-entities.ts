/** Home Assistant's entities of a zone that was taught: which state to teach, a button that teaches it, and whether it needs that. */
import type { Place } from './button.js'
import type { Entities, Make } from './entity.js'

/** Teaches the chosen state with a button, and says when teaching is needed. The option `none`: none of the states. */
export function teachEntities(
  make: Make,
  topic: string,
  { request, states, ...place }: Place & { readonly states: readonly string[] },
): Entities {
  const command = JSON.stringify({ ...place, value: '@' }).replace('"@"', '{{ value|tojson }}')
  return {
    teach_state: make('select', 'teach_state', 'State to teach', {
      icon: 'mdi:school-outline',
      entity_category: 'config',
      options: [...new Set([...states, 'none'])],
      state_topic: topic,
      value_template: '{{ value_json.selected }}',
      command_topic: `${request}/teach_state`,
      command_template: command,
    }),
    teach: make('button', 'teach', 'Teach', {
      icon: 'mdi:school',
      entity_category: 'config',
      command_topic: `${request}/teach`,
      payload_press: JSON.stringify(place),
    }),
    needs_teaching: make('binary_sensor', 'needs_teaching', 'Needs teaching', {
      device_class: 'problem',
      entity_category: 'diagnostic',
      state_topic: topic,
      value_template: "{{ 'ON' if value_json.needs_teaching else 'OFF' }}",
      json_attributes_topic: topic,
    }),
  }
}
