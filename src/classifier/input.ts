/**
 * From the pixel path to the network's input. A picture with three channels of floats or bytes is written straight into
 * the engine's memory. Other inputs get it by a conversion: luma for one channel, halves, doubles and integers, and a
 * batch filled with copies of the picture.
 */
import type { EngineTensor } from '../engine/engine.js'
import type { Manifest } from '../model/metadata/schema.js'
import { torchvision } from '../model/metadata/schema.js'
import type { PreprocessSpec, ResizeMode, Triple } from '../pixels/spec.js'
import { imageLayout, storedOf, type Code, type TensorType } from '../tensor.js'
import { halfOf } from './half.js'

/** The picture as the pixel path writes it, and the way from there to the engine. */
export interface PictureInput {
  /** What the pixel path writes: the engine's input itself, or a picture of three channels in memory of our own. */
  readonly pixels: EngineTensor
  readonly spec: PreprocessSpec
  /** Copies `pixels` into the engine's input; null where they are the same memory. */
  readonly feed: (() => void) | null
  /** Pictures that one run takes; the first one's outputs are read. */
  readonly batch: number
  readonly assumed: readonly string[]
}

interface Geometry {
  readonly layout: 'nchw' | 'nhwc'
  readonly batch: number
  readonly height: number
  readonly width: number
  readonly channels: number
}

/**
 * The picture input of a model with the one input `input`; null if that is not a picture with one or three channels.
 * `code` is that of the file's integers where the engine takes the real numbers that these stand for.
 */
export function pictureInput(
  input: EngineTensor,
  manifest: Manifest,
  resize: ResizeMode | undefined,
  code?: Code | undefined,
): PictureInput | null {
  const geometry = geometryOf(input, manifest)
  const { channels, batch, height, width, layout } = geometry ?? {
    channels: 0,
    batch: 0,
    height: 0,
    width: 0,
    layout: 'nchw',
  }
  if (!geometry || !(channels === 1 || channels === 3) || !convertible.has(input.type)) return null
  // Bytes with a code are real numbers to all but the last instruction of the pixel path.
  const type = input.code ? 'float32' : input.type
  const isLevels = !floating.has(type)
  const isDirect = channels === 3 && batch === 1 && (type === 'float32' || type === 'uint8')
  const { mean, std, assumed } =
    code && type === 'float32' ? codeScaling(code, channels) : scalingOf({ type }, manifest, channels)
  const spec: PreprocessSpec = {
    height,
    width,
    layout: isDirect ? layout : 'nhwc',
    type: isLevels ? 'uint8' : 'float32',
    ...(isDirect && input.code ? { code: input.code } : {}),
    order: channels === 1 ? 'rgb' : (manifest.colorOrder ?? 'rgb'),
    mean,
    std,
    resize: resize ?? manifest.resize ?? 'cover',
    ...(manifest.fill ? { fill: manifest.fill } : {}),
  }
  if (isDirect) return { pixels: input, spec, feed: null, batch, assumed }
  const pixels = pictureTensor(input.name, height, width, isLevels)
  const feed = createFeed(pixels.data as Pixels, input, geometry)
  return { pixels, spec, feed, batch, assumed: batch > 1 ? [...assumed, batchSentence(batch)] : assumed }
}

const floating: ReadonlySet<TensorType> = new Set(['float32', 'float64', 'float16'])
const convertible: ReadonlySet<TensorType> = new Set([
  ...floating,
  'uint8',
  'int8',
  'int16',
  'uint16',
  'int32',
  'uint32',
  'int64',
  'uint64',
])

const batchSentence = (batch: number): string =>
  `one picture ${batch} times (the file fixes a batch of ${batch}, which takes so many times as long; export it with a batch of 1)`

function geometryOf(input: EngineTensor, manifest: Manifest): Geometry | null {
  const { shape, inFileOrder } = input
  if (shape.length !== 3 && shape.length !== 4) return null
  const [batch, ...rest] = shape.length === 4 ? shape : [1, ...shape]
  const [a = 0, b = 0, c = 0] = rest
  const seen = imageLayout([1, a, b, c]) === 'nhwc' ? 'nhwc' : 'nchw'
  const layout = inFileOrder ? (manifest.layout ?? seen) : 'nhwc'
  return layout === 'nhwc'
    ? { layout, batch: batch!, height: a, width: b, channels: c }
    : { layout, batch: batch!, channels: a, height: b, width: c }
}

/** Means and deviations, and what was assumed of them. Integers take levels: there is nothing to scale. */
function scalingOf(
  { type }: Pick<EngineTensor, 'type'>,
  { mean, std }: Manifest,
  channels: number,
): { readonly mean: Triple; readonly std: Triple; readonly assumed: readonly string[] } {
  const isFloating = floating.has(type)
  const isGrey = channels === 1
  const usual = isGrey ? ({ mean: [0, 0, 0], std: [255, 255, 255] } as const) : torchvision
  const assumed = [
    ...(isFloating && !mean
      ? [`${isGrey ? 'pixels from 0 to 1' : 'mean and std of torchvision'} (no manifest says otherwise)`]
      : []),
    ...(isGrey ? ['the luma of the picture for the one channel'] : []),
    ...(type === 'int8' ? ['levels less 128 for int8 pixels'] : []),
    ...(isFloating || type === 'int8' || type === 'uint8' ? [] : [`levels from 0 to 255 for ${type} pixels`]),
  ]
  return { mean: mean ?? usual.mean, std: std ?? usual.std, assumed }
}

/** Means and deviations that give the real number of each level, as if the level itself was the file's integer. */
function codeScaling({ type, scale, zeroPoint }: Code, channels: number): ReturnType<typeof scalingOf> {
  const zero = zeroPoint + (type === 'int8' ? 128 : 0)
  const { assumed } = scalingOf({ type }, {}, channels)
  return { mean: [zero, zero, zero], std: [1 / scale, 1 / scale, 1 / scale], assumed }
}

type Pixels = Float32Array | Uint8Array

function pictureTensor(name: string, height: number, width: number, isLevels: boolean): EngineTensor {
  const count = height * width * 3
  return {
    name,
    type: isLevels ? 'uint8' : 'float32',
    layout: 'nhwc',
    shape: [1, height, width, 3],
    data: isLevels ? new Uint8Array(count) : new Float32Array(count),
    inFileOrder: true,
  }
}

/** ITU-R BT.601 */
const luma = [0.299, 0.587, 0.114] as const

/** Writes the picture into each place of the batch, in the input's type and layout. */
function createFeed(
  pixels: Pixels,
  input: EngineTensor,
  { layout, batch, height, width, channels }: Geometry,
): () => void {
  const places = height * width
  const write = writerOf(input)
  const isLevels = pixels instanceof Uint8Array
  return () => {
    for (let place = 0; place < places; place++) {
      const [r, g, b] = [pixels[place * 3]!, pixels[place * 3 + 1]!, pixels[place * 3 + 2]!]
      const grey = channels === 1 ? luma[0] * r + luma[1] * g + luma[2] * b : 0
      for (let channel = 0; channel < channels; channel++) {
        const value = channels === 1 ? (isLevels ? Math.round(grey) : grey) : channel === 0 ? r : channel === 1 ? g : b
        const at = layout === 'nchw' ? channel * places + place : place * channels + channel
        for (let n = 0; n < batch; n++) write(n * places * channels + at, value)
      }
    }
  }
}

/** Stores one number in the input's own type. */
function writerOf({ data, type, code }: EngineTensor): (at: number, value: number) => void {
  if (code)
    return (at, value) => {
      data[at] = storedOf(code, Math.fround(value))
    }
  if (data instanceof BigInt64Array || data instanceof BigUint64Array)
    return (at, value) => {
      data[at] = BigInt(Math.round(value))
    }
  if (type === 'float16')
    return (at, value) => {
      data[at] = halfOf(value)
    }
  const offset = type === 'int8' ? 128 : 0
  return (at, value) => {
    data[at] = value - offset
  }
}
