/** The page: parts in their places, the live socket behind them, and what buttons do. */
import type {
  CameraState,
  Info,
  LabelChange,
  LiveState,
  PictureHeader,
  PictureSide,
  Region,
  Report,
  Sample,
} from '../messages.js'
import { createAbout } from './about.js'
import { getJson, keepToken, readToken, request, RequestError, send } from './api.js'
import { connect, type Connection } from './connection.js'
import { createControls } from './controls.js'
import { askNote, askToken, createToasts } from './dialogs.js'
import { el, say } from './dom.js'
import { createHealth } from './health.js'
import { createLatency } from './latency.js'
import { createRegionForm } from './region-form.js'
import { createStage } from './stage.js'
import { text } from './text.js'
import { clockTime } from './time.js'
import { createTimeline } from './timeline.js'
import { createTools } from './tools.js'
import { createVerdict } from './verdict.js'

let camera = ''
let state: LiveState | null = null
let shown: PictureHeader | null = null
let isFrozen = false
let connection: Connection | null = null

const node = el('span', { class: 'node' })
const link = el('span', { class: 'link', role: 'status', 'data-link': 'connecting' }, text.link.connecting)
const chooser = el('select', { class: 'chooser', 'aria-label': text.camera, hidden: true })
const toasts = createToasts()
const stage = createStage((region) => void setRegion(region))
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
    stage.drawing(isOn)
    regionForm.show(isOn)
  },
  onLayers: (visible) => {
    stage.layers(visible)
  },
  onSnapshot: () => void snapshot().catch(fault),
  onWrong: () => void reportWrong().catch(fault),
})

document.body.append(
  el('header', { class: 'top' }, el('h1', {}, text.brand), node, chooser, link),
  el(
    'main',
    {},
    el(
      'div',
      { class: 'seen' },
      el(
        'section',
        { class: 'view', 'aria-label': text.picture.label },
        stage.element,
        tools.element,
        regionForm.element,
      ),
      latency.element,
    ),
    el('div', { class: 'said' }, verdict.headline, verdict.scores, timeline.element, health.element),
    el('div', { class: 'rest' }, controls.element, about.element),
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
  stage.note(text.picture.none)
  freeze(false)
  void getJson<LabelChange[]>(`/api/cameras/${camera}/history`).then((changes) => timeline.set(changes), fault)
  void controls.load(camera)
}

/** As sharp as the place where it is shown, no more. */
function side(): PictureSide {
  const pixels = stage.element.clientWidth * Math.min(devicePixelRatio, 2)
  return pixels <= 360 ? 320 : pixels <= 1400 ? 640 : 1280
}

function onState(next: LiveState): void {
  state = next
  say(node, next.node)
  chooser.toggleAttribute('hidden', next.cameras.length < 2)
  if (chooser.options.length !== next.cameras.length)
    chooser.replaceChildren(...next.cameras.map(({ id }) => el('option', { value: id }, id)))
  if (camera === '' && next.cameras[0]) choose(next.cameras[0].id)
  latency.now(next.stages, next.atMs)
  health.update(next)
  const mine = cameraState()
  if (!mine) return
  about.camera(mine)
  controls.enabled(mine.isEnabled)
  verdict.update(mine)
  timeline.now(mine.label, mine.score, mine.reason)
  stage.roi(mine.roi && (mine.roi.width < 1 || mine.roi.height < 1) ? mine.roi : null)
  regionForm.set(mine.roi)
  const isSilent = mine.reason === 'camera_lost' || mine.reason === 'camera_stale' || mine.reason === 'camera_disabled'
  if (isSilent) stage.note(text.verdict.reasons[mine.reason!] ?? text.picture.noFrames)
}

async function onPicture({ header, jpeg }: { header: PictureHeader; jpeg: Blob }): Promise<void> {
  if (isFrozen) return
  shown = header
  await stage.show(header, jpeg, cameraState()?.view ?? { rotate: 0, flipX: false, flipY: false })
  stage.note(
    header.problem
      ? (text.picture.problems[header.problem] ?? header.problem)
      : header.isElsewhere
        ? text.picture.elsewhere
        : '',
  )
}

function freeze(isOn: boolean): void {
  isFrozen = isOn
  tools.frozen(isOn)
  stage.note(isOn && shown ? text.picture.frozen(clockTime(shown.atMs)) : '')
  connection?.want(isOn || camera === '' ? null : { camera, side: side() })
}

/** Said as a region: null would go back to what the configuration says. */
const whole: Region = { x: 0, y: 0, width: 1, height: 1 }

let sendingThreshold = 0
/** While the slider moves the value goes out now and then, so that its effect is seen at once. */
function setThreshold(value: number, isFinal: boolean): void {
  const nowMs = performance.now()
  if (!isFinal && nowMs - sendingThreshold < 150) return
  sendingThreshold = nowMs
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
  const response = await request('GET', `/api/cameras/${camera}/picture.jpg`)
  const [, name] = /filename="([^"]+)"/.exec(response.headers.get('content-disposition') ?? '') ?? []
  const url = URL.createObjectURL(await response.blob())
  el('a', { href: url, download: name ?? `${camera}.jpg` }).click()
  setTimeout(() => {
    URL.revokeObjectURL(url)
  }, 10_000)
}

async function reportWrong(): Promise<void> {
  const [wasFrozen, seq] = [isFrozen, shown?.seq ?? 0]
  freeze(true)
  const note = await askNote()
  if (note !== null) {
    const { isExact } = await send<Report>('POST', `/api/cameras/${camera}/reports`, { seq, note })
    toasts.tell(isExact ? text.wrong.kept : text.wrong.keptNext)
  }
  freeze(wasFrozen)
}

function fault(error: unknown): void {
  if (error instanceof RequestError && error.status === 401) return
  toasts.tell(
    error instanceof RequestError ? [error.message, error.hint].filter(Boolean).join('. ') : String(error),
    true,
  )
}

function onLink(isUp: boolean): void {
  link.dataset['link'] = isUp ? 'live' : 'lost'
  say(link, isUp ? text.link.live : text.link.lost)
  stage.element.classList.toggle('is-old', !isUp)
  if (isUp) void loadPast()
}

/** What was before the page was opened, or while there was no connection. */
async function loadPast(): Promise<void> {
  try {
    about.update(await getJson<Info>('/api/info'))
    latency.set(await getJson<Sample[]>('/api/samples'))
    if (camera !== '') timeline.set(await getJson<LabelChange[]>(`/api/cameras/${camera}/history`))
  } catch (error) {
    fault(error)
  }
}

let isAsking = false
/** A refused socket says nothing; a plain request says whether it is the token. */
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
  onNoPicture: () => stage.note(text.picture.noFrames),
  onRefused: () => void onRefused(),
})
new ResizeObserver(() => {
  if (!isFrozen && camera !== '') connection?.want({ camera, side: side() })
}).observe(stage.element)
