/**
 * One camera of a running node: capture, supervision, the switch that turns it off, and its status on MQTT. It hands
 * each frame to its zones and knows nothing of models. A camera that is switched off is closed, not just ignored: its
 * light goes out, it needs no power and no bus, and other programs can use it. Switching it on costs what a start costs.
 */
import type { CameraDescription, CameraOptions } from '../../camera/camera.js'
import type { PictureNeed, Size } from '../../camera/decode-size.js'
import { openCamera } from '../../camera/sources.js'
import type { Clock } from '../../clock.js'
import { sourceReader } from '../../config/credentials.js'
import type { CameraConfig, Config } from '../../config/schema.js'
import { GapcamError } from '../../errors.js'
import type { Frame } from '../../frame.js'
import type { Logger } from '../../log.js'
import type { Metrics } from '../../metrics.js'
import type { Publisher } from '../../publish/publisher.js'
import { undecided } from '../../decision/decision.js'
import type { CameraLens } from '../../zone/camera-lens.js'
import { PictureRequests, type CaptureOptions, type Picture } from '../../zone/picture.js'
import type { AnyZone } from '../../zone/missing.js'
import { sharedFrame } from '../../zone/shared-frame.js'
import type { Loop } from '../guard/deadlines.js'
import { sizesInWords, type DecodedSize } from './decoded-size.js'
import type { Settings } from '../commands/settings.js'
import { superviseCamera } from './supervisor.js'
import { whileOn } from './switch.js'
import type { CameraView } from '../zones/views.js'

/** While a camera is off, its loop reports in this often. */
const idleStepMs = 1000
/** Margin so that the engine's own deadline, which names the inference, fires before the frame's. */
const turnSlackMs = 2000

export interface NodeCameraOptions {
  readonly config: CameraConfig
  /** Its zones: a list that may change between two frames. */
  readonly zones: readonly AnyZone[]
  /** Shown each frame before the zones; default: regions stay where they were drawn. */
  readonly view?: Pick<CameraView, 'opened' | 'observe'> | undefined
  /** Checks the whole picture while no question of the camera's own does; default: no such checks. */
  readonly lens?: Pick<CameraLens, 'opened' | 'look'> | undefined
  readonly publisher: Publisher
  readonly metrics: Metrics
  readonly clock: Clock
  readonly settings: Settings
  readonly log: Logger
  readonly limits: Pick<Config, 'hungAfterMs' | 'waitForCameras' | 'policy'>
  /** Zones of all cameras: a frame may wait for as many turns on the engine. */
  readonly zoneCount: number
  /** The camera delivered its first frame since the start. */
  readonly onFirstOpen: (camera: NodeCamera, description: CameraDescription) => void
  /** At which size the camera's pictures are decoded: with the first frame, and when it changes. */
  readonly onDecoded?: ((sizes: DecodedSize) => void) | undefined
  /** A frame was taken by all zones. */
  readonly onTaken: () => void
}

/** A configured camera with its zones. `run` captures until the source or the node ends. */
export class NodeCamera {
  readonly config: CameraConfig
  readonly zones: readonly AnyZone[]
  readonly #options: NodeCameraOptions
  /** Pictures of the whole frame, where no zone of the camera draws them. */
  readonly #pictures = new PictureRequests()
  /** One list, filled anew for each picture. */
  readonly #needs: PictureNeed[] = []
  #decoded: Size = { width: 0, height: 0 }
  #isLive = false
  #isOpen = false
  #description: CameraDescription | null = null
  #lastFrameMs: number | null = null
  #lastLoss: string | null = null

  constructor(options: NodeCameraOptions) {
    this.#options = options
    this.config = options.config
    this.zones = options.zones
  }

  /** What the source turned out to be when it opened; null before. */
  get description(): CameraDescription | null {
    return this.#description
  }

  /** When the newest frame came, by the clock; null before the first. */
  get lastFrameMs(): number | null {
    return this.#lastFrameMs
  }

  /**
   * Captures until the source ends or `signal` comes. Rejects with CAMERA_* when the camera never delivers a frame and
   * waiting is not configured or cannot help, and with ENGINE_FAILED.
   */
  async run(loop: Loop, signal: AbortSignal): Promise<void> {
    const { settings, log } = this.#options
    const { id } = this.config
    let idling: NodeJS.Timeout | undefined
    let isCapturing = false
    try {
      await whileOn(
        {
          isOn: () => settings.camera(id).isEnabled,
          onMove: settings.onChange,
          onOff: () => {
            log.info({ camera: id }, 'the camera is disabled, until a command enables it')
            this.#disable()
            // The loop only has to show that it could react to the switch.
            idling = setInterval(() => {
              if (!isCapturing) loop.enter('switched off', Infinity)
            }, idleStepMs)
          },
          onOn: () => {
            clearInterval(idling)
            this.#enable()
          },
          work: (capturing, hasRun) => {
            isCapturing = true
            return this.#capture(loop, hasRun, capturing).finally(() => {
              isCapturing = false
            })
          },
        },
        signal,
      )
    } finally {
      clearInterval(idling)
      loop.end()
    }
  }

  #capture(loop: Loop, hasRun: boolean, signal: AbortSignal): Promise<void> {
    const { metrics, clock, log, limits, zoneCount } = this.#options
    let isSwitchedOn = hasRun
    const source = sourceReader(this.config, (sentence) => log.warn({ camera: this.config.id }, sentence))
    return superviseCamera(
      {
        loop,
        frameMs: limits.hungAfterMs * zoneCount + turnSlackMs,
        make: () => openCamera(source(), { ...cameraOptions(this.config), ...this.#decoding() }),
        hasWorked: hasRun,
        isPatient: limits.waitForCameras,
        clock,
        stallMs: Math.max(limits.policy.staleAfterMs, 2000),
        onOpen: (description, { isRecovery, isLive }) => {
          this.#isLive = isLive
          this.#isOpen = true
          this.#options.view?.opened(isLive)
          this.#options.lens?.opened(isLive)
          for (const zone of this.zones) zone.opened(isLive)
          this.#opened(description, isSwitchedOn ? 'enabled' : isRecovery ? 'recovered' : 'first')
          isSwitchedOn = false
        },
        onFrame: (frame) => this.#take(frame),
        onLost: (error) => this.#lost(error),
        onWarning: (error) => log.warn({ camera: this.config.id }, error.message),
        onDropped: (frames) => {
          metrics.dropped += frames
        },
      },
      signal,
    )
  }

  /** No pixel is decoded that no zone needs. A camera without zones decodes all of them, unless it is set. */
  #decoding(): Pick<CameraOptions, 'needs' | 'fitsStreams'> {
    const { decode } = this.config
    const { settings } = this.#options
    if (decode === 'full') return {}
    const isFitted = (): boolean => decode === 'fit' || this.zones.some(({ definition }) => definition.zone !== null)
    return {
      needs: () => {
        this.#needs.length = 0
        if (!isFitted()) return this.#needs
        for (const { key, view } of this.zones)
          if (view && settings.findZone(key)?.isSwitchedOn !== false) this.#needs.push(view.current.spec)
        return this.#needs
      },
      fitsStreams: decode === 'fit',
    }
  }

  /** The next frame as a picture: of its own question where it has one, else without any. */
  capture(options?: CaptureOptions): Promise<Picture> {
    const own = this.zones.find(({ key }) => key === this.config.id)
    if (own) return own.capture(options)
    if (options?.heat === undefined && !options?.mask) return this.#pictures.request(options)
    const code = options.mask ? 'NO_MASK' : 'NO_HEAT_MAP'
    return Promise.reject(new GapcamError(code, `camera ${this.config.id} has no question of its own; name a zone`))
  }

  /** A zone was added while the camera runs: it hears what it has missed. */
  welcome(zone: AnyZone): void {
    if (!this.#options.settings.camera(this.config.id).isEnabled) zone.disable()
    else if (this.#isOpen) zone.opened(this.#isLive)
  }

  async #take(frame: Frame): Promise<void> {
    this.#lastFrameMs = this.#options.clock.now()
    this.#tellDecoded(frame)
    this.#options.view?.observe(frame, this.#lastFrameMs)
    const { zones } = this
    const hasOwn = zones.some(({ key }) => key === this.config.id)
    if (!hasOwn) await this.#options.lens?.look(frame, this.#lastFrameMs)
    const [first] = zones
    if (zones.length === 1 && !this.#pictures.isAny) await first!.take(frame)
    else {
      const shared = sharedFrame(frame, zones.length + 1)
      await Promise.all([...zones.map((zone) => zone.take(shared)), this.#draw(shared)])
    }
    this.#options.onTaken()
  }

  /** Tells at which size pictures are decoded, whenever it changes. */
  #tellDecoded({ width, height, fullSize }: Frame): void {
    if (width === this.#decoded.width && height === this.#decoded.height) return
    const decoded = { width, height }
    const asked = this.#description?.fullSize
    const sizes = {
      full: asked === undefined ? (fullSize ?? decoded) : asked,
      decoded,
      isReducedBySource: asked !== undefined,
    }
    if (fullSize || asked !== undefined) this.#options.log.info({ camera: this.config.id }, sizesInWords(sizes))
    this.#decoded = decoded
    this.#options.onDecoded?.(sizes)
  }

  async #draw(frame: Frame): Promise<void> {
    try {
      const drawn = this.#pictures.isAny ? await this.#pictures.draw(frame) : null
      drawn?.deliver({ x: 0, y: 0, width: 1, height: 1 }, frame, null, undecided(this.#options.clock.now()))
    } finally {
      frame.release()
    }
  }

  #opened(description: CameraDescription, why: 'first' | 'recovered' | 'enabled'): void {
    const { publisher, metrics, log, onFirstOpen } = this.#options
    const { id } = this.config
    this.#description = description
    this.#lastLoss = null
    publisher.cameraStatus(id, 'online')
    if (why === 'first') return onFirstOpen(this, description)
    if (why === 'recovered') metrics.recoveries++
    log.info({ camera: id }, why === 'recovered' ? 'the camera is back' : 'the camera is enabled again')
  }

  #lost(error: GapcamError): void {
    const { publisher, log } = this.#options
    const { id } = this.config
    // Warn once for each reason: a camera may be away for months.
    const level = error.message === this.#lastLoss ? 'debug' : 'warn'
    log[level]({ camera: id, code: error.code }, `${error.message} (trying again)`)
    this.#lastLoss = error.message
    this.#pictures.fail()
    for (const zone of this.zones) zone.lose()
    publisher.cameraStatus(id, 'offline')
  }

  /** Publishes what is true after the end of gapcam: the camera is offline and has no label. */
  end(): void {
    this.#pictures.close()
    for (const zone of this.zones) zone.end()
    this.#options.publisher.cameraStatus(this.config.id, 'offline')
  }

  #disable(): void {
    this.#pictures.fail()
    for (const zone of this.zones) zone.disable()
    this.#options.publisher.cameraStatus(this.config.id, 'disabled')
  }

  #enable(): void {
    for (const zone of this.zones) zone.enable()
    this.#options.publisher.cameraStatus(this.config.id, 'offline')
  }
}

/** What a configured camera is asked for. Zero means the same as absent: the source's own. */
export function cameraOptions({ fps, width, height, loop, holdMs, ffmpegOptions }: CameraConfig): CameraOptions {
  return {
    fps: fps || undefined,
    width: width || undefined,
    height: height || undefined,
    loop: loop || undefined,
    holdMs: holdMs || undefined,
    ffmpegOptions,
  }
}
