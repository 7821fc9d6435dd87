/** Home Assistant's entity of a model that says where things are. */
import type { Entity, Make } from './entities.js'

/** How many things are seen, with their boxes. Without a camera there are none. */
export function countEntity(make: Make, state: string, seen: Readonly<Record<string, unknown>>): Entity {
  return make('sensor', 'count', 'Count', {
    ...seen,
    icon: 'mdi:counter',
    state_class: 'measurement',
    state_topic: state,
    value_template: '{{ value_json.count|default(0) }}',
    json_attributes_topic: state,
    json_attributes_template: "{{ {'boxes': value_json.boxes|default([])}|tojson }}",
  })
}
