/**
 * Looks at pictures through a network. A taught picture is looked at three times: as it is, and twice with another crop and
 * light, so that a head does not hang on the exact place and brightness of five pictures.
 */
import { basename } from 'node:path'
import type { Classifier } from '../classifier.js'
import type { ClassifierView } from '../engine/classify.js'
import type { Engine, EngineOptions } from '../engine/engine.js'
import { ClipShow } from '../engine/clip-show.js'
import { openEngine } from '../engine/select.js'
import { GapcamError } from '../errors.js'
import { frameOf } from '../frame.js'
import { clipGraph } from '../model/clip-graph.js'
import type { Graph } from '../model/graph.js'
import { asModel } from '../model/in-memory.js'
import { modelStem } from '../model/metadata/schema.js'
import type { VideoLayout } from '../model/metadata/video.js'
import type { LoadedModel } from '../model/onnx/onnx.js'
import type { RgbImage } from '../pixels/image.js'
import type { PreprocessSpec, Region, ResizeMode } from '../pixels/spec.js'
import type { Backbone } from './backbone.js'
import type { Part, RawVector } from './features.js'
import { valueNames, withVectors } from './graph.js'
import type { SightStatistics } from './novelty.js'
import { openedAs } from './opened.js'

/** How a picture is changed before a look: the part that is seen, and a factor of its light. */
interface Look {
  readonly region: Region
  readonly light: number
}

/** The looks at a taught picture; the first one is the picture itself. */
const looks: readonly Look[] = [
  { region: { x: 0, y: 0, width: 1, height: 1 }, light: 1 },
  { region: { x: 0, y: 0.05, width: 0.93, height: 0.93 }, light: 0.85 },
  { region: { x: 0.07, y: 0.02, width: 0.93, height: 0.93 }, light: 1.15 },
]

/** What a look gives. */
export interface Seen {
  readonly raw: RawVector
  readonly sight: SightStatistics
}

/** What is looked at: a picture, or the frames of a clip, which a network over pictures sees by the mean of their vectors. */
export type Shown = RgbImage | readonly RgbImage[]

/** How a network takes whole clips. */
export type ClipLayout = Extract<VideoLayout, { readonly form: 'clips' }>

/** Runs work that uses the network when its turn comes. */
export type Turn = <T>(work: () => Promise<T>) => Promise<T>

/** A network that is opened for looking. */
export interface Looker {
  /** With the raw vector and the statistics of the picture among its outputs. */
  readonly engine: Engine
  /** Numbers of a raw vector. */
  readonly rawLength: number
  /** How the network takes clips; null: it takes pictures. */
  readonly clip: ClipLayout | null
  /** All looks. Rejects with PICTURE_INVALID, also for what is no clip of a network over clips. */
  lookAt(shown: Shown): Promise<readonly Seen[]>
  /** The picture or clip as it is, or a part of it. */
  glanceAt(shown: Shown, region?: Region): Promise<Seen>
  close(): Promise<void>
}

/** Opens a network for looking; `pixels` must be those of its classifier. The caller closes it. */
export async function openLooker(
  model: LoadedModel,
  found: {
    readonly backbone: Backbone
    readonly parts: readonly Part[]
    readonly pixels: PreprocessSpec
    /** How the network takes clips; default: it takes pictures. */
    readonly clip?: ClipLayout | null
    /** How pictures become the size of the input; default: stretched. */
    readonly resize?: ResizeMode
  },
  options: EngineOptions,
  turn: Turn = (work) => work(),
): Promise<Looker> {
  const { backbone, parts, pixels, clip = null, resize = 'stretch' } = found
  const { mean, std, order, fill } = pixels
  const graph = withVectors(backbone, parts, { mean, std, order, axes: clip?.axes })
  const engine = await openEngine(asModel(clip ? onFrames(graph, clip, model.path) : graph, model), 'auto', {
    ...options,
    // The network's own scores are not computed. The maps are for the heat of the heads that it serves.
    outputs: [valueNames.raw, valueNames.sight],
    extraOutputs: [...new Set(parts.map(({ map }) => map.name))],
  })
  const classifier = openedAs(model.path, {
    engine,
    manifest: {
      mean: [...mean],
      std: [...std],
      colorOrder: order,
      ...(fill ? { fill: [fill[0], fill[1], fill[2]] } : {}),
    },
    sha256: model.sha256,
    output: valueNames.sight,
    labels: ['brightness', 'contrast', 'sharpness'],
    reading: { activation: 'none', quantization: null, sentence: 'levels', isCertain: true },
    from: 'the network',
    resize,
    ...(clip ? { task: { facts: { task: 'video', layout: clip }, sentence: 'video: its input is a clip' } } : {}),
  })
  return lookerOf(classifier, { clip, resize }, turn)
}

/** The graph that takes the frames of a clip where they were prepared. */
function onFrames(graph: Graph, clip: ClipLayout, path: string): Graph {
  const made = clipGraph(graph, graph, clip)
  if ('reason' in made) throw new GapcamError('MODEL_UNSUPPORTED', `model ${path} cannot be taught: ${made.reason}`)
  return made
}

/** How one part of pictures is shown to the network. */
interface Sight {
  readonly view: ClassifierView
  readonly clips: ClipShow | null
}

function lookerOf(
  classifier: Classifier,
  { clip, resize }: { readonly clip: ClipLayout | null; readonly resize: ResizeMode },
  turn: Turn,
): Looker {
  const sights = new Map<Region | undefined, Sight>()
  const sightOf = (region: Region | undefined): Sight => {
    const known = sights.get(region)
    if (known) return known
    const view = classifier.view({ roi: region, resize } satisfies Partial<PreprocessSpec>, 1)
    const fresh = { view, clips: clip && new ClipShow(view, clip) }
    sights.set(region, fresh)
    return fresh
  }
  const [raw, sight] = [valueNames.raw, valueNames.sight].map(
    (wanted) => classifier.engine.outputs.find(({ name }) => name === wanted)!.data as Float32Array,
  ) as [Float32Array, Float32Array]
  const run = (pictures: readonly RgbImage[], region: Region | undefined): Promise<Seen> =>
    turn(async () => {
      const { view, clips } = sightOf(region)
      const outcome = await (clips ? clips.show(pictures) : view.classify(frameOf(pictures[0]!)))
      if (!outcome.ok) throw outcome.reason === 'frame_invalid' ? outcome.error : notFinite(classifier.path)
      return { raw: raw.slice(), sight: [sight[0]!, sight[1]!, sight[2]!] }
    })
  async function see(shown: Shown, region: Region | undefined): Promise<Seen> {
    const pictures = 'data' in shown ? [shown] : shown
    if (clip) {
      if (pictures.length !== clip.frames) throw noClip(classifier.path, clip, pictures.length)
      return run(pictures, region)
    }
    const seen: Seen[] = []
    for (const picture of pictures) seen.push(await run([picture], region))
    return meanOf(seen)
  }
  return {
    engine: classifier.engine,
    rawLength: raw.length,
    clip,
    async lookAt(shown) {
      const pictures = 'data' in shown ? [shown] : shown
      const seen: Seen[] = []
      for (const { region, light } of looks) {
        const changed = pictures.map((picture) => lit(picture, light))
        seen.push(await see(changed, region))
      }
      return seen
    },
    glanceAt: see,
    async close() {
      for (const { view } of sights.values()) view.close()
      await classifier.close()
    },
  }
}

/** The mean of what was seen of each picture. */
function meanOf(seen: readonly Seen[]): Seen {
  const [first] = seen as readonly [Seen]
  if (seen.length === 1) return first
  const mean = (of: (one: Seen) => number): number => seen.reduce((sum, one) => sum + of(one), 0) / seen.length
  return {
    raw: first.raw.map((_, i) => mean(({ raw }) => raw[i]!)),
    sight: [0, 1, 2].map((k) => mean(({ sight }) => sight[k]!)) as unknown as SightStatistics,
  }
}

/** The error for pictures that are no clip of the network. */
export function noClip(model: string, { frames }: Pick<ClipLayout, 'frames'>, count: number): GapcamError {
  return new GapcamError(
    'PICTURE_INVALID',
    `the network ${basename(modelStem(model))} looks at clips of ${frames} frames, and this is ${count === 1 ? 'one picture' : `a clip of ${count}`}`,
    { hint: 'docs/teach.md says how clips are given.' },
  )
}

const notFinite = (path: string): GapcamError =>
  new GapcamError('ENGINE_FAILED', `model ${path}: its outputs are not finite`)

/** The picture with its levels multiplied. */
function lit(picture: RgbImage, factor: number): RgbImage {
  if (factor === 1) return picture
  const table = Uint8Array.from({ length: 256 }, (_, level) => Math.min(255, Math.round(level * factor)))
  return { ...picture, data: picture.data.map((level) => table[level]!) }
}

/** Looks at each taught picture. */
export const lookCount = looks.length

/** The looks at a picture as numbers that can be kept: of each the raw vector and the statistics. */
export function packed(seen: readonly Seen[]): Float32Array {
  const size = (seen[0]?.raw.length ?? 0) + 3
  const values = new Float32Array(seen.length * size)
  seen.forEach(({ raw, sight }, i) => {
    values.set(raw, i * size)
    values.set(sight, i * size + size - 3)
  })
  return values
}

/** The looks that `packed` was given; they share its memory. */
export function unpacked(values: Float32Array, rawLength: number): readonly Seen[] {
  const size = rawLength + 3
  return Array.from({ length: values.length / size }, (_, i) => {
    const [brightness, contrast, sharpness] = values.subarray(i * size + rawLength, (i + 1) * size)
    return { raw: values.subarray(i * size, i * size + rawLength), sight: [brightness!, contrast!, sharpness!] }
  })
}
