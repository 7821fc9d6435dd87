/** The panel "About": model, engine and the reason for it, topics, version. */
import type { CameraState, Info } from '../messages.js'
import { el, setText } from './dom.js'
import { text } from './text.js'

export interface AboutPanel {
  readonly element: HTMLElement
  update(info: Info): void
  /** The chosen camera. */
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
    setText(place, value)
  }

  return {
    element,
    update({ model, engine, topics, version, platform, runtime }) {
      const words = text.about
      set(words.model, modelText(model))
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

function modelText({ id, version, labels, sha256, assumed }: Info['model']): string {
  const name = version ? `${id} ${version}` : id
  const facts = [name, text.about.labels(labels), sha256.slice(0, 12)].join(', ')
  return assumed.length > 0 ? `${facts}; ${text.about.assumed(assumed.join(', '))}` : facts
}
