/** Home Assistant's entities of what a task finds besides labels: things with their boxes, and the labels of all places. */
import type { CameraTopic } from '../topics.js'
import { buttonOf, type Place } from './button.js'
import type { ZoneFacts } from './device.js'
import type { Entities, Entity, Fields, Make } from './entity.js'

/** Of a detector a count and the best picture of the last visit; of a segmenter the mask. */
export function foundEntities(
  { hasBoxes = false, hasMask = false }: Pick<ZoneFacts, 'hasBoxes' | 'hasMask'>,
  make: Make,
  topic: (name: CameraTopic) => string,
  seen: Fields,
  place: Place,
): Entities {
  return {
    ...(hasBoxes
      ? {
          count: countEntity(make, topic('state'), seen),
          crop: make('image', 'crop', 'Last visit', { image_topic: topic('crop'), content_type: 'image/jpeg' }),
        }
      : {}),
    ...(hasMask
      ? {
          mask: make('image', 'mask', 'Mask', { ...seen, image_topic: topic('mask'), content_type: 'image/png' }),
          take_mask: buttonOf(make, seen, place)('take_mask', 'Take mask', 'mdi:layers-outline', 'mask'),
        }
      : {}),
  }
}

/** How many things are seen, with their boxes. Without a camera there are none. */
function countEntity(make: Make, state: string, seen: Fields): Entity {
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
