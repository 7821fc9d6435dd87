/** The zones of a camera on the page: connects the drawing, the list and the card with the API. */
import type { Shape } from '../../../pixels/shape.js'
import type { CameraState, ZoneState } from '../../messages.js'
import { RequestError, send } from '../api.js'
import { ask, askSure } from '../dialogs.js'
import { text } from '../text.js'
import { createZoneCard } from './card.js'
import { Drafts, type Draft } from './drafts.js'
import { createHandles } from './handles.js'
import { listenToKeys } from './keys.js'
import { createZoneLayer, shapeOfZone } from './layer.js'
import { createZoneList } from './list.js'
import { freeId } from './names.js'
import { faultOf } from './outline.js'
import { createMoved } from './moved.js'
import { createPen } from './pen.js'
import { createZoneTools } from './tools.js'

export interface ZonesTabEvents {
  /** A zone was chosen: show this tab. */
  onOpen(): void
  tell(message: string): void
  onFault(error: unknown): void
}

type Change = { readonly values: Readonly<Record<string, unknown>>; readonly rename?: string }

/** While a slider moves, its value is sent at this interval. */
const thresholdEveryMs = 300

export class ZonesTab {
  readonly #events: ZonesTabEvents
  readonly #layer = createZoneLayer((id) => this.#choose(id))
  readonly #list = createZoneList((id) => this.#choose(id))
  readonly #handles = createHandles({
    onDraft: (shape) => this.#drag(shape),
    onDone: () => void this.#keepDraft(),
    onRemove: () => void this.#remove(),
  })
  readonly #pen = createPen({
    onCorners: (count) => this.#tools.corners(count),
    onShape: (shape) => void this.#add(shape),
    onFault: (fault) => this.#tools.fault(text.zones.regionFault(fault)),
  })
  readonly #tools = createZoneTools({
    pen: this.#pen,
    onUse: () => this.#draw(),
    onMiddle: (shape) => void this.#add(shape),
    onOwnRemove: () => void this.#removeOwn(),
  })
  readonly #moved = createMoved({
    onFault: (error) => this.#events.onFault(error),
    onDraw: () => this.#choose(this.#selected ?? this.#zones[0]?.id ?? ''),
  })
  readonly #card = createZoneCard({
    save: (zone, change) => this.#put(zone, change),
    onFault: (error) => this.#events.onFault(error),
    onRemove: () => void this.#remove(),
    onEnabled: (zone, value) => this.#set(zone.id, 'enabled', value),
    onThreshold: (zone, value, isFinal) => this.#setThreshold(zone.id, value, isFinal),
  })
  #camera: CameraState | null = null
  #selected: string | null = null
  #isShown = false
  /** A zone that another tab is about. */
  #marked: string | null = null
  readonly #drafts = new Drafts(async (id, shape, revision) => {
    const body = { values: { region: shape }, revision }
    return (await send<{ readonly revision: string }>('PUT', this.#pathOf(id), body)).revision
  })
  #thresholdSentMs = 0

  constructor(events: ZonesTabEvents) {
    this.#events = events
    listenToKeys({
      isShown: () => this.#isShown,
      pen: this.#pen,
      tools: this.#tools,
      deselect: () => this.select(null),
    })
  }

  /** Over the live picture, from below to above. */
  get layers(): readonly HTMLElement[] {
    return [this.#layer.element, this.#handles.element, this.#pen.element]
  }

  /** The zone that is chosen; null: none. */
  get selected(): string | null {
    return this.#zoneOf(this.#selected)?.id ?? null
  }

  get tools(): HTMLElement {
    return this.#tools.element
  }

  /** Says that the camera has moved, while it has. */
  get moved(): HTMLElement {
    return this.#moved.element
  }

  get list(): HTMLElement {
    return this.#list.element
  }

  get card(): HTMLElement {
    return this.#card.element
  }

  get settings(): HTMLElement {
    return this.#card.settings
  }

  update(camera: CameraState): void {
    if (camera.id !== this.#camera?.id) {
      this.#drafts.forget()
      this.#selected = null
      this.#tools.stop()
    }
    this.#camera = camera
    this.#drafts.update(camera.zones)
    this.#moved.update(camera)
    this.#draw()
  }

  /** While the tab is shown, regions can be changed. */
  show(isShown: boolean): void {
    this.#isShown = isShown
    this.#list.element.classList.toggle('is-editing', isShown)
    if (!isShown) this.#tools.stop()
    this.#draw()
  }

  select(id: string | null): void {
    if (id !== this.#selected) this.#drafts.take()
    this.#selected = id
    this.#tools.conflict(null)
    this.#draw()
  }

  /** Marks a zone on the picture while another tab is shown; null: none. */
  mark(id: string | null): void {
    this.#marked = id
    this.#drawLayer()
  }

  #choose(id: string): void {
    this.select(id)
    this.#events.onOpen()
  }

  get #zones(): readonly ZoneState[] {
    return this.#camera?.zones ?? []
  }

  #zoneOf(id: string | null): ZoneState | null {
    return this.#zones.find((zone) => zone.id === id) ?? null
  }

  #pathOf(id: string): string {
    return `/api/cameras/${this.#camera!.id}/zones/${id}`
  }

  #shapeOf(zone: ZoneState): Shape {
    return this.#drafts.shapeOf(zone) ?? shapeOfZone(zone)
  }

  #drawLayer(): void {
    const marked = this.#isShown ? this.#selected : this.#marked
    this.#layer.show(this.#zones, marked, (zone) => this.#shapeOf(zone))
  }

  #draw(): void {
    const [camera, zone] = [this.#camera, this.#zoneOf(this.#selected)]
    this.#drawLayer()
    this.#list.update(this.#zones, this.#selected)
    const isEditable = this.#isShown && zone !== null && !this.#tools.isDrawing
    this.#handles.show(isEditable ? { id: zone.id, name: zone.name, shape: this.#shapeOf(zone) } : null)
    if (camera && this.#isShown) this.#card.update(camera, zone)
    this.#tools.own(camera?.hasOwn && this.#zones.length > 0 ? camera : null)
  }

  #drag(shape: Shape | null): void {
    const zone = this.#zoneOf(this.#selected)
    if (zone) this.#drafts.drag(zone, shape)
    this.#drawLayer()
  }

  /** Stores the region that was dragged. Where the zone was changed meanwhile, the user decides. */
  async #keepDraft(): Promise<void> {
    const mine = this.#drafts.take()
    if (!mine) return
    const fault = faultOf(mine.shape)
    this.#tools.fault(fault === null ? '' : text.zones.regionFault(fault))
    if (fault !== null) return this.#draw()
    try {
      await this.#drafts.keep(mine)
    } catch (error) {
      if (error instanceof RequestError && error.status === 409) this.#offerBoth(mine)
      else this.#events.onFault(error)
    }
    this.#draw()
  }

  #offerBoth({ id, shape }: Draft): void {
    this.#tools.conflict({
      name: this.#zoneOf(id)?.name ?? id,
      onMine: () => void send('PUT', this.#pathOf(id), { values: { region: shape } }).catch(this.#events.onFault),
    })
  }

  async #put(zone: Pick<ZoneState, 'id' | 'revision'>, change: Change): Promise<void> {
    await send('PUT', this.#pathOf(zone.id), { ...change, revision: zone.revision })
    if (change.rename !== undefined && this.#selected === zone.id) this.#selected = change.rename
    this.#events.tell(text.zones.saved)
  }

  #set(id: string, key: 'enabled' | 'threshold', value: unknown): void {
    void send('PUT', `${this.#pathOf(id)}/${key}`, { value }).catch(this.#events.onFault)
  }

  #setThreshold(id: string, value: number, isFinal: boolean): void {
    const nowMs = performance.now()
    if (!isFinal && nowMs - this.#thresholdSentMs < thresholdEveryMs) return
    this.#thresholdSentMs = nowMs
    this.#set(id, 'threshold', value)
  }

  /** Asks for the name of a new zone and adds it. A name that is refused is asked for again. */
  async #add(shape: Shape): Promise<void> {
    this.#tools.stop()
    let name = text.zones.newName(this.#zones.length + 1)
    for (let fault = ''; ; ) {
      const { hint, ...question } = text.zones.add
      const given = await ask({ ...question, hint: fault || hint, value: name, type: 'text' })
      if (given === null) return
      name = given.trim() || name
      const id = freeId(name, this.#zones)
      try {
        await send('PUT', this.#pathOf(id), { values: { name, region: shape } })
        return this.select(id)
      } catch (error) {
        if (!(error instanceof RequestError) || error.status !== 400) return this.#events.onFault(error)
        fault = error.message
      }
    }
  }

  async #remove(): Promise<void> {
    const zone = this.#zoneOf(this.#selected)
    if (!zone || !(await askSure(text.zones.sure(zone.name)))) return
    try {
      await send('DELETE', this.#pathOf(zone.id))
      this.#events.tell(text.zones.removed(zone.name))
      this.select(null)
    } catch (error) {
      this.#events.onFault(error)
    }
  }

  async #removeOwn(): Promise<void> {
    if (!this.#camera || !(await askSure(text.zones.sureOwn))) return
    await send('DELETE', `/api/cameras/${this.#camera.id}/question`).catch(this.#events.onFault)
  }
}
