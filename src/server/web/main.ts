/** The page: lays out its parts, connects them with the live socket, and executes what the buttons ask for. */
import type {
  CameraState,
  Info,
  LabelChange,
  LiveState,
  PictureHeader,
  PictureSide,
  Region,
  Sample,
} from '../messages.js'
import { createAbout } from './about.js'
import { BundlePanel } from './bundle/panel.js'
import { getJson, keepToken, readToken, RequestError, send } from './api.js'
import { connect, type Connection, type ReceivedPicture } from './connection.js'
import { createControls } from './controls.js'
import { askToken, createToasts } from './dialogs.js'
import { el, setText } from './dom.js'
import { GalleryTab } from './gallery/tab.js'
import { createHealth } from './health.js'
import { createLatency } from './latency.js'
import { createLiveView } from './live-view.js'
import { createRegionForm } from './region-form.js'
import { text } from './text.js'
import { saveFile } from './thumbnail.js'
import { clockTime } from './time.js'
import { ReviewTab } from './review/tab.js'
import { createTabs } from './tabs.js'
import { TeachTab } from './teach/tab.js'
import { createTimeline } from './timeline.js'
import { createTools } from './tools.js'
import { createVerdict } from './verdict.js'
import { sayWrong } from './wrong.js'
import { saidBy } from './zones/layer.js'
import { ZonesTab } from './zones/tab.js'

/** The id of the chosen camera; empty before the first state. */
let camera = ''
let state: LiveState | null = null
/** The picture on the screen. */
let shown: PictureHeader | null = null
let isFrozen = false
let connection: Connection | null = null

const node = el('span', { class: 'node' })
const link = el('span', { class: 'link', role: 'status', 'data-link': 'connecting' }, text.link.connecting)
const chooser = el('select', { class: 'chooser', 'aria-label': text.camera, hidden: true })
const toasts = createToasts()
const zones = new ZonesTab({
  onOpen: () => tabs.choose('zones'),
  tell: (message) => toasts.tell(message),
  onFault: fault,
})
const tell = (message: string): void => toasts.tell(message)
const teach = new TeachTab({ onFault: fault, tell, onTarget: (zone) => zones.mark(zone) })
const review = new ReviewTab({ onFault: fault, tell })
const galleries = new GalleryTab({ onFault: fault, tell })
const bundle = new BundlePanel({ onFault: fault, tell })
const liveView = createLiveView((region) => void setRegion(region), zones.layers)
const verdict = createVerdict((value, isFinal) => setThreshold(value, isFinal))
const [timeline, latency, health, about] = [createTimeline(), createLatency(), createHealth(), createAbout()]
const controls = createControls({
  onFault: fault,
  onEnabled: (isEnabled) => void send('PUT', `/api/cameras/${camera}/enabled`, { value: isEnabled }).catch(fault),
})
const regionForm = createRegionForm(
  (region) => void setRegion(region),
  () => tools.region(false),
)
const tools = createTools({
  onFreeze: freeze,
  onRegion: (isOn) => {
    liveView.drawing(isOn)
    regionForm.show(isOn)
  },
  onLayers: (visible) => {
    liveView.layers(visible)
  },
  onSnapshot: () => void snapshot().catch(fault),
  onWrong: () => void reportWrong().catch(fault),
})

const picture = el(
  'section',
  { class: 'view', 'aria-label': text.picture.label },
  liveView.element,
  tools.element,
  regionForm.element,
)
const ofLabel = [verdict.headline, verdict.scores, timeline.element]
const bottom = el('div', { class: 'bottom' }, controls.element, about.element)
const tabs = createTabs(
  {
    live: [
      picture,
      zones.moved,
      tools.element,
      regionForm.element,
      zones.list,
      latency.element,
      bundle.element,
      ...ofLabel,
      health.element,
      bottom,
    ],
    zones: [picture, zones.moved, zones.tools, zones.list, zones.card, zones.settings],
    teach: [picture, zones.moved, teach.drift, teach.controls, teach.goodness, teach.pictures],
    review: [review.element],
    galleries: [galleries.element],
  },
  (name) => {
    liveView.element.classList.toggle('is-plain', name !== 'live')
    if (name !== 'live') tools.region(false)
    zones.show(name === 'zones')
    zones.mark(null)
    teach.show(name === 'teach')
    review.show(name === 'review')
    galleries.show(name === 'galleries')
  },
)
for (const [part, name] of [
  [timeline, 'labels-panel'],
  [latency, 'latency-panel'],
  [health, 'health-panel'],
] as const)
  part.element.classList.add(name)
document.body.append(
  el('header', { class: 'top' }, el('h1', {}, text.brand), node, tabs.element, chooser, link),
  el(
    'main',
    {},
    el(
      'div',
      { class: 'picture-column' },
      picture,
      zones.moved,
      zones.tools,
      zones.list,
      zones.settings,
      teach.pictures,
      latency.element,
    ),
    el(
      'div',
      { class: 'label-column' },
      bundle.element,
      ...ofLabel,
      health.element,
      zones.card,
      teach.drift,
      teach.controls,
      teach.goodness,
    ),
    bottom,
    review.element,
    galleries.element,
  ),
  toasts.element,
)

chooser.addEventListener('change', () => {
  choose(chooser.value)
})

function cameraState(): CameraState | null {
  return state?.cameras.find(({ id }) => id === camera) ?? null
}

function choose(id: string): void {
  camera = id
  shown = null
  liveView.note(text.picture.none)
  freeze(false)
  void getJson<LabelChange[]>(`/api/cameras/${camera}/history`).then((changes) => timeline.set(changes), fault)
  void controls.load(camera)
}

/** The smallest size that is sharp on this screen. */
function side(): PictureSide {
  const pixels = liveView.element.clientWidth * Math.min(devicePixelRatio, 2)
  return pixels <= 360 ? 320 : pixels <= 1400 ? 640 : 1280
}

function onState(next: LiveState): void {
  state = next
  setText(node, next.node)
  chooser.toggleAttribute('hidden', next.cameras.length < 2)
  if (chooser.options.length !== next.cameras.length)
    chooser.replaceChildren(...next.cameras.map(({ id }) => el('option', { value: id }, id)))
  if (camera === '' && next.cameras[0]) choose(next.cameras[0].id)
  latency.now(next.stages, next.atMs)
  health.update(next)
  review.update(next)
  galleries.update(next)
  const mine = cameraState()
  if (!mine) return
  about.camera(mine)
  zones.update(mine)
  teach.update(mine)
  for (const element of ofLabel) element.toggleAttribute('hidden', !mine.hasOwn)
  tools.heat(mine.hasHeat)
  controls.enabled(mine.isEnabled)
  verdict.update(mine)
  timeline.now(mine.label, mine.score, mine.reason)
  liveView.roi(mine.roi && (mine.roi.width < 1 || mine.roi.height < 1) ? mine.roi : null)
  regionForm.set(mine.roi)
  if (mine.reason !== null && pictureless.has(mine.reason))
    liveView.note(text.verdict.reasons[mine.reason] ?? text.picture.noFrames)
}

/** Reasons of an unknown label for which there is no picture. */
const pictureless: ReadonlySet<string> = new Set(['camera_lost', 'camera_stale', 'camera_disabled'])

async function onPicture({ header, jpeg }: ReceivedPicture): Promise<void> {
  if (isFrozen) return
  shown = header
  await liveView.show(header, jpeg, cameraState()?.view ?? { rotate: 0, flipX: false, flipY: false })
  // It may have been frozen meanwhile, and then says since when.
  if (!isFrozen) liveView.note(noteOf(header))
}

function noteOf({ problem, isElsewhere }: PictureHeader): string {
  if (problem) return text.picture.problems[problem] ?? problem
  return isElsewhere ? text.picture.elsewhere : ''
}

function freeze(isOn: boolean): void {
  isFrozen = isOn
  tools.frozen(isOn)
  liveView.note(isOn && shown ? text.picture.frozen(clockTime(shown.atMs)) : '')
  connection?.want(isOn || camera === '' ? null : { camera, side: side() })
}

/** The whole frame is sent as a region: null would restore the configured region. */
const whole: Region = { x: 0, y: 0, width: 1, height: 1 }

const thresholdEveryMs = 150
let thresholdSentMs = 0
/** While the slider moves, its value is sent at this interval, so that the user sees the effect. */
function setThreshold(value: number, isFinal: boolean): void {
  const nowMs = performance.now()
  if (!isFinal && nowMs - thresholdSentMs < thresholdEveryMs) return
  thresholdSentMs = nowMs
  void send('PUT', `/api/cameras/${camera}/threshold`, { value }).catch(fault)
}

async function setRegion(region: Region | null): Promise<void> {
  try {
    await send('PUT', `/api/cameras/${camera}/roi`, { value: region ?? whole })
    toasts.tell(region ? text.region.set : text.region.cleared)
  } catch (error) {
    fault(error)
  }
}

async function snapshot(): Promise<void> {
  await saveFile(`/api/cameras/${camera}/picture.jpg`, `${camera}.jpg`)
}

async function reportWrong(): Promise<void> {
  const [wasFrozen, seq, mine] = [isFrozen, shown?.seq ?? 0, cameraState()]
  if (!mine) return
  freeze(true)
  try {
    // Where only zones answer and there is one, it is the one that is wrong.
    const only = !mine.hasOwn && mine.zones.length === 1 ? mine.zones[0]!.id : null
    const id = zones.selected ?? only
    const zone = mine.zones.find((each) => each.id === id)
    const said = text.wrong.said(zone?.name ?? text.wrong.whole, saidBy(zone ?? mine))
    const told = await sayWrong({ camera, zone: zone?.id ?? null, said, seq })
    if (told !== null) tell(told)
  } finally {
    freeze(wasFrozen)
  }
}

/** Shows an error. A missing token is left out: its dialog is open. */
function fault(error: unknown): void {
  if (!(error instanceof RequestError)) return toasts.tell(String(error), true)
  if (error.status === 401) return
  toasts.tell([error.message, error.hint].filter(Boolean).join('. '), true)
}

function onLink(isUp: boolean): void {
  link.dataset['link'] = isUp ? 'live' : 'lost'
  setText(link, isUp ? text.link.live : text.link.lost)
  liveView.element.classList.toggle('is-old', !isUp)
  if (isUp) void loadPast()
}

/** Loads the history from before the page was opened, or while there was no connection. */
async function loadPast(): Promise<void> {
  void bundle.load()
  try {
    about.update(await getJson<Info>('/api/info'))
    latency.set(await getJson<Sample[]>('/api/samples'))
    if (camera !== '') timeline.set(await getJson<LabelChange[]>(`/api/cameras/${camera}/history`))
  } catch (error) {
    fault(error)
  }
}

let isAsking = false
/** A refused socket gives no reason. A plain request does: with status 401 the page asks for the token. */
async function onRefused(): Promise<void> {
  if (isAsking) return
  isAsking = true
  try {
    await getJson('/api/info')
  } catch (error) {
    if (error instanceof RequestError && error.status === 401) {
      const token = await askToken(readToken() !== null)
      if (token !== null) keepToken(token.trim())
    }
  } finally {
    isAsking = false
  }
}

connection = connect({
  onState,
  onPicture,
  onLink,
  onNoPicture: () => liveView.note(text.picture.noFrames),
  onRefused: () => void onRefused(),
})
new ResizeObserver(() => {
  if (!isFrozen && camera !== '') connection?.want({ camera, side: side() })
}).observe(liveView.element)
