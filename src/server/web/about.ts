/** What runs here: model, engine and why, topics. */
import type { CameraState, Info } from '../messages.js'
import { el, say } from './dom.js'
import { text } from './text.js'

export interface AboutPanel {
  readonly element: HTMLElement
  update(info: Info): void
  camera(camera: CameraState): void
}

export function createAbout(): AboutPanel {
  const list = el('dl', { class: 'facts' })
  const element = el('details', { class: 'panel' }, el('summary', {}, el('h2', {}, text.about.title)), list)
  const values = new Map<string, HTMLElement>()

  function set(name: string, value: string): void {
    let place = values.get(name)
    if (!place) {
      place = el('dd')
      values.set(name, place)
      list.append(el('dt', {}, name), place)
    }
    say(place, value)
  }

  return {
    element,
    update({ model, engine, topics, version, platform, runtime }) {
      const words = text.about
      set(
        words.model,
        `${model.id}${model.version ? ` ${model.version}` : ''}, ${words.labels(model.labels)}, ${model.sha256.slice(0, 12)}${model.assumed.length > 0 ? `; assumed: ${model.assumed.join(', ')}` : ''}`,
      )
      set(words.engine, `${engine.name} ${engine.target}, ${words.threads(engine.threads)}`)
      set(words.why, engine.reason)
      set(words.topics, `${topics}/…`)
      set(words.version, `gapcam ${version}, ${runtime}, ${platform}`)
    },
    camera({ id, name, width, height, format }) {
      set(text.about.camera, name === null ? id : `${id}: ${name}, ${width} × ${height} ${format}`)
    },
  }
}
