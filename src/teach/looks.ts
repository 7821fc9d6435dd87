/**
 * Looks at pictures through a network. A taught picture is looked at three times: as it is, and twice with another crop and
 * light, so that a head does not hang on the exact place and brightness of five pictures.
 */
import type { Classifier } from '../classifier.js'
import type { ClassifierView } from '../engine/classify.js'
import type { Engine, EngineOptions } from '../engine/engine.js'
import { openEngine } from '../engine/select.js'
import { GapcamError } from '../errors.js'
import { frameOf } from '../frame.js'
import { asModel } from '../model/in-memory.js'
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

/** Runs work that uses the network when its turn comes. */
export type Turn = <T>(work: () => Promise<T>) => Promise<T>

/** A network that is opened for looking. */
export interface Looker {
  /** With the raw vector and the statistics of the picture among its outputs. */
  readonly engine: Engine
  /** Numbers of a raw vector. */
  readonly rawLength: number
  /** All looks at a picture. Rejects with PICTURE_INVALID. */
  lookAt(picture: RgbImage): Promise<readonly Seen[]>
  /** The picture as it is, or a part of it. */
  glanceAt(picture: RgbImage, region?: Region): Promise<Seen>
  close(): Promise<void>
}

/** Opens a network for looking; `pixels` must be those of its classifier. The caller closes it. */
export async function openLooker(
  model: LoadedModel,
  found: {
    readonly backbone: Backbone
    readonly parts: readonly Part[]
    readonly pixels: PreprocessSpec
    /** How pictures become the size of the input; default: stretched. */
    readonly resize?: ResizeMode
  },
  options: EngineOptions,
  turn: Turn = (work) => work(),
): Promise<Looker> {
  const { backbone, parts, pixels, resize = 'stretch' } = found
  const { mean, std, order, fill } = pixels
  const engine = await openEngine(asModel(withVectors(backbone, parts, pixels), model), 'auto', {
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
  })
  return lookerOf(classifier, resize, turn)
}

function lookerOf(classifier: Classifier, resize: ResizeMode, turn: Turn): Looker {
  const views = new Map<Region | undefined, ClassifierView>()
  const viewOf = (region: Region | undefined): ClassifierView => {
    const known = views.get(region)
    if (known) return known
    const view = classifier.view({ roi: region, resize } satisfies Partial<PreprocessSpec>, 1)
    views.set(region, view)
    return view
  }
  const [raw, sight] = [valueNames.raw, valueNames.sight].map(
    (wanted) => classifier.engine.outputs.find(({ name }) => name === wanted)!.data as Float32Array,
  ) as [Float32Array, Float32Array]
  const see = (picture: RgbImage, region: Region | undefined): Promise<Seen> =>
    turn(async () => {
      const outcome = await viewOf(region).classify(frameOf(picture))
      if (!outcome.ok) throw outcome.reason === 'frame_invalid' ? outcome.error : notFinite(classifier.path)
      return { raw: raw.slice(), sight: [sight[0]!, sight[1]!, sight[2]!] }
    })
  return {
    engine: classifier.engine,
    rawLength: raw.length,
    async lookAt(picture) {
      const seen: Seen[] = []
      for (const { region, light } of looks) seen.push(await see(lit(picture, light), region))
      return seen
    },
    glanceAt: see,
    async close() {
      for (const view of views.values()) view.close()
      await classifier.close()
    },
  }
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
