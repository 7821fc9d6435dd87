/** The Teach tab: what is taught, the buttons that teach, and how good it is. */
import type { CameraState } from '../../messages.js'
import type { TeachStatus } from '../../teach-messages.js'
import { getJson, request, send } from '../api.js'
import { el, freshId, panel, setText } from '../dom.js'
import { Steady } from '../steady.js'
import { saveFile } from '../thumbnail.js'
import { saidBy } from '../zones/layer.js'
import { createCapture } from './capture.js'
import { createDrift, type NamedExample } from './drift.js'
import { createGoodness } from './goodness.js'
import { createTaughtPictures } from './pictures.js'
import { nounOf, teachText as text, type Noun } from './text.js'
import { base64Of, isClip, isPicture, partsOf, pictureOf } from './upload.js'

export interface TeachTabEvents {
  onFault(error: unknown): void
  tell(message: string): void
  /** A zone is taught: mark it on the picture. Null: the whole picture. */
  onTarget(zone: string | null): void
}

/** While a head is fitted, and otherwise, since others may teach too. */
const [fittingMs, idleMs] = [400, 3000]

export class TeachTab {
  readonly #events: TeachTabEvents
  readonly #target = el('select', { id: freshId() })
  readonly #now = el('span', { class: 'teach-now' })
  readonly #hint = el('p', { class: 'note' }, text.hint({ clip: null }))
  readonly #said = el('p', { class: 'note', role: 'status' })
  readonly #undo = el('button', { type: 'button' }, text.undo)
  readonly #serve = el('button', { type: 'button', hidden: true }, text.serve)
  readonly #capture = createCapture({
    capture: (state) => this.#take(state),
    tell: (message) => this.#events.tell(message),
    onNamed: () => this.#pictures.name(this.#capture.named),
  })
  readonly #goodness = createGoodness({
    pathOf: (picture) => this.#thumbnailOf(picture),
    onMove: (picture, state) => void this.#change('PUT', `/pictures/${picture}`, { state }),
  })
  readonly #drift = createDrift({
    pathOf: (example) => `${this.#path}/examples/${example}`,
    onTeach: (examples) => this.#teachExamples(examples).catch(this.#events.onFault),
  })
  readonly #pictures = createTaughtPictures({
    pathOf: (picture) => this.#thumbnailOf(picture),
    onMove: (picture, state) => void this.#change('PUT', `/pictures/${picture}`, { state }),
    onRemove: (picture) => void this.#change('DELETE', `/pictures/${picture}`),
    onRename: (state, to) => void this.#change('PUT', `/states/${encodeURIComponent(state)}`, { state: to }),
    onDelete: (state) => void this.#change('DELETE', `/states/${encodeURIComponent(state)}`),
    onFiles: (state, files) => void this.#upload(state, files).catch(this.#events.onFault),
  })
  readonly #savePictures: HTMLButtonElement
  readonly #saveModel: HTMLButtonElement
  /** Below the picture: what is taught and the buttons. */
  readonly controls: HTMLElement
  /** Key of what is taught. */
  #key = ''
  #pictureIds: readonly string[] = []
  readonly #targets = new Steady<{ readonly key: string; readonly name: string }>()
  /** Keys of all that could be taught since the page was opened. */
  readonly #known = new Set<string>()
  #noun: Noun = 'picture'
  #isShown = false
  #timer = 0

  constructor(events: TeachTabEvents) {
    this.#events = events
    const savePictures = (): Promise<void> =>
      saveFile(`${this.#path}/pictures.zip`, 'pictures.zip').catch(events.onFault)
    const saveModel = (): Promise<void> => saveFile(`${this.#path}/model.onnx`, 'model.onnx').catch(events.onFault)
    this.#savePictures = saver(text.exportPictures('picture'), savePictures)
    this.#saveModel = saver(text.exportModel, saveModel)
    const choice = el(
      'div',
      { class: 'teach-target' },
      el('label', { for: this.#target.id }, text.target),
      this.#target,
      this.#now,
    )
    const stands = el(
      'div',
      { class: 'teach-stands' },
      this.#said,
      el('div', { class: 'row' }, this.#serve, this.#undo),
    )
    const foot = el('div', { class: 'row teach-foot' }, this.#savePictures, this.#saveModel)
    this.controls = panel(text.title, '', choice, this.#hint, this.#capture.element, stands, foot)
    this.controls.classList.add('teach-panel')
    this.#target.addEventListener('change', () => this.choose(this.#target.value))
    this.#undo.addEventListener('click', () => {
      void this.#change('POST', '/undo').then((isDone) => isDone && this.#events.tell(text.undone))
    })
    this.#serve.addEventListener('click', () => void this.#change('POST', '/fit', {}))
  }

  /** Above all others. */
  get drift(): HTMLElement {
    return this.#drift.element
  }

  get goodness(): HTMLElement {
    return this.#goodness.element
  }

  get pictures(): HTMLElement {
    return this.#pictures.element
  }

  /** Teaches what has this key. */
  choose(key: string): void {
    this.#key = key
    this.#target.value = key
    const [, zone = null] = key.split('/')
    if (this.#isShown) {
      this.#events.onTarget(zone)
      void this.#load()
    }
  }

  show(isShown: boolean): void {
    this.#isShown = isShown
    clearTimeout(this.#timer)
    if (isShown && this.#key !== '') this.choose(this.#key)
  }

  update(camera: CameraState): void {
    const isOwn = (key: string): boolean => key.split('/')[0] === camera.id
    const targets = this.#targets
      .update([
        ...(camera.hasOwn ? [{ key: camera.id, name: text.whole }] : []),
        ...camera.zones.map(({ key, name }) => ({ key, name })),
      ])
      .filter(({ key }) => isOwn(key))
    const wanted = targets.map(({ key, name }) => `${key} ${name}`).join('\n')
    if (this.#target.dataset['shown'] !== wanted) {
      this.#target.replaceChildren(...targets.map(({ key, name }) => el('option', { value: key }, name)))
      this.#target.dataset['shown'] = wanted
      const isThere = targets.some(({ key }) => key === this.#key)
      // A zone that was just drawn is what people want to teach.
      const fresh = targets.filter(({ key }) => !this.#known.has(key))
      for (const { key } of fresh) this.#known.add(key)
      this.choose(fresh.at(-1)?.key ?? (isThere ? this.#key : (targets.at(-1)?.key ?? '')))
    }
    const said = camera.zones.find(({ key }) => key === this.#key) ?? camera
    setText(this.#now, text.now(`${saidBy(said)}${said.reason === null ? ` ${said.score.toFixed(2)}` : ''}`))
  }

  get #path(): string {
    return `/api/teach/${encodeURIComponent(this.#key)}`
  }

  #thumbnailOf(picture: string): string {
    return `${this.#path}/pictures/${picture}/thumbnail.jpg`
  }

  async #load(): Promise<void> {
    clearTimeout(this.#timer)
    const key = this.#key
    if (!this.#isShown || key === '') return
    try {
      const status = await getJson<TeachStatus>(this.#path)
      if (key === this.#key) this.#show(status)
    } catch (error) {
      this.#events.onFault(error)
      this.#again(idleMs)
    }
  }

  #again(afterMs: number): void {
    clearTimeout(this.#timer)
    if (this.#isShown) this.#timer = window.setTimeout(() => void this.#load(), afterMs)
  }

  #show(status: TeachStatus): void {
    this.#pictureIds = status.pictures.map(({ id }) => id)
    this.#noun = nounOf(status)
    setText(this.#hint, text.hint(status))
    setText(this.#savePictures, text.exportPictures(this.#noun))
    this.#capture.update(status)
    this.#goodness.update(status)
    this.#drift.update(status)
    this.#pictures.update(status)
    this.#pictures.name(this.#capture.named)
    this.#undo.disabled = !status.canUndo
    const isTaught = status.fittedMs !== null
    this.#savePictures.disabled = status.pictures.length === 0
    this.#saveModel.disabled = !isTaught
    this.#serve.toggleAttribute('hidden', !isTaught || status.isServing || status.isFitting)
    setText(this.#said, standOf(status))
    this.#said.classList.toggle('fault', status.fault !== null)
    this.#again(status.isFitting ? fittingMs : idleMs)
  }

  /** Teaches the present picture. */
  async #take(state: string | null): Promise<void> {
    const before = new Set(this.#pictureIds)
    const isDone = await this.#change('POST', '/capture', { state })
    if (isDone && this.#pictureIds.every((id) => before.has(id))) this.#events.tell(text.same(this.#noun))
  }

  /** Resolves with whether the change was made. */
  async #change(method: 'PUT' | 'POST' | 'DELETE', below: string, body?: unknown): Promise<boolean> {
    const key = this.#key
    try {
      const status = await send<TeachStatus>(method, `${this.#path}${below}`, body)
      if (key === this.#key) this.#show(status)
      return true
    } catch (error) {
      this.#events.onFault(error)
      return false
    }
  }

  /** All of them are read first: the examples are gone with the first one that is fitted. */
  async #teachExamples(examples: readonly NamedExample[]): Promise<void> {
    const path = this.#path
    const pictures = await Promise.all(
      examples.map(async ({ example, state }) => {
        const bytes = await (await request('GET', `${path}/examples/${example}`)).arrayBuffer()
        return { state, pictures: [{ data: base64Of(new Uint8Array(bytes)) }] }
      }),
    )
    for (const picture of pictures) this.#show(await send<TeachStatus>('POST', `${path}/pictures`, picture))
    this.#events.tell(text.drift.taught(pictures.length))
  }

  async #upload(state: string | null, files: readonly File[]): Promise<void> {
    const pictures = files.filter(this.#noun === 'clip' ? isClip : isPicture)
    const skipped = files.length - pictures.length
    let done = 0
    for (const part of partsOf(pictures)) {
      this.#pictures.progress(text.pictures.reading(done, pictures.length))
      await this.#change('POST', '/pictures', { state, pictures: await Promise.all(part.map(pictureOf)) })
      done += part.length
    }
    this.#pictures.progress('')
    if (skipped > 0) this.#events.tell(text.pictures.skipped(skipped, this.#noun))
  }
}

/** How far the zone is, in one sentence. */
function standOf(status: TeachStatus): string {
  const { isFitting, fault, fittedMs, isServing, states } = status
  if (isFitting) return text.fitting
  if (fault !== null) return text.fault(status)
  if (fittedMs === null) return text.untaught
  if (!isServing) return text.notServing
  return states.length < 2 ? text.oneState : text.serving
}

function saver(words: string, save: () => Promise<void>): HTMLButtonElement {
  const button = el('button', { type: 'button', class: 'quiet', disabled: true }, words)
  button.addEventListener('click', () => void save())
  return button
}
