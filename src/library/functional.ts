/**
 * Convolution and global average pooling on plain tensors in ONNX's order. Each call compiles and runs a plan of one step
 * on the native kernels. It suits learning, tests and small work; a frame loop uses a model session instead.
 */
import { loadAddon } from '../addon.js'
import { GapcamError, expected } from '../errors.js'
import { nchwToNhwc, nhwcToNchw } from '../engine/layout.js'
import { align64, serializePlan, type PlanStep } from '../model/plan.js'
import { elementCount } from '../tensor.js'

/** A dense float32 tensor in row-major order. `FloatTensorLike` also accepts plain numbers. */
export interface FloatTensor {
  readonly shape: readonly number[]
  readonly data: Float32Array
}
export type FloatTensorLike = { readonly shape: readonly number[]; readonly data: Float32Array | readonly number[] }

export interface Conv2dOptions {
  /** [vertical, horizontal]; default [1, 1]. */
  readonly strides?: readonly [number, number]
  /** [top, left, bottom, right], as ONNX orders them; default 0. */
  readonly pads?: readonly [number, number, number, number]
  readonly dilations?: readonly [number, number]
  readonly groups?: number
  /** Forces a target of the native engine, as GAPCAM_TARGET does. */
  readonly target?: string
}

/**
 * The mean of each feature map: [N,C,H,W] → [N,C,1,1], or [C,H,W] → [C,1,1] (ONNX GlobalAveragePool).
 * Throws TypeError for a wrong shape, ENGINE_UNAVAILABLE without the native addon.
 *
 *     const mean = globalAveragePool({ shape: [1, 2, 2, 2], data: [1, 2, 3, 4, 5, 6, 7, 8] })
 *     // mean.shape is [1, 2, 1, 1], mean.data is [2.5, 6.5]
 */
export function globalAveragePool(x: FloatTensorLike, options: { readonly target?: string } = {}): FloatTensor {
  const [n, c, h, w] = imageShape(x, 'x')
  const step: PlanStep = {
    kind: 'reduce',
    name: 'globalAveragePool',
    inputs: [0],
    outputs: [1],
    parameters: { op: 'mean', outer: n, length: h * w, inner: c },
  }
  const y = runStep(step, x, [n, c, h, w], [], [n, c, 1, 1], options.target)
  return x.shape.length === 3 ? { shape: [c, 1, 1], data: y.data } : y
}

/**
 * ONNX Conv in two dimensions: x [N,C,H,W] (or [C,H,W]), weights [O,C/groups,kH,kW], bias [O] → [N,O,OH,OW].
 * Throws TypeError for shapes that do not fit, ENGINE_UNAVAILABLE without the native addon.
 *
 *     const x = { shape: [1, 1, 3, 3], data: [1, 2, 3, 4, 5, 6, 7, 8, 9] }
 *     conv2d(x, { shape: [1, 1, 2, 2], data: [1, 0, 0, 1] }) // data [6, 8, 12, 14]
 */
export function conv2d(
  x: FloatTensorLike,
  weights: FloatTensorLike,
  bias?: FloatTensorLike | null,
  options: Conv2dOptions = {},
): FloatTensor {
  const [n, c, h, w] = imageShape(x, 'x')
  const [o = 0, perGroup = 0, kernelH = 0, kernelW = 0] = weights.shape
  const { strides: [strideH, strideW] = [1, 1], pads: [padTop, padLeft, padBottom, padRight] = [0, 0, 0, 0] } = options
  const { dilations: [dilationH, dilationW] = [1, 1], groups = 1, target } = options
  checkElements(weights, 4, 'weights')
  if (perGroup * groups !== c || o % groups !== 0)
    throw expected(`weights for ${c} channels in ${groups} groups`, 'weights', weights.shape)
  if (bias && (bias.shape.length !== 1 || bias.shape[0] !== o || bias.data.length !== o))
    throw expected(`shape [${o}]`, 'bias', bias.shape)
  const outH = Math.floor((h + padTop + padBottom - dilationH * (kernelH - 1) - 1) / strideH) + 1
  const outW = Math.floor((w + padLeft + padRight - dilationW * (kernelW - 1) - 1) / strideW) + 1
  if (!(outH >= 1 && outW >= 1)) throw expected('a kernel no larger than the padded input', 'weights', weights.shape)
  const step: PlanStep = {
    kind: 'conv2d',
    name: 'conv2d',
    inputs: [0, 2, bias ? 3 : null, null],
    outputs: [1, null],
    parameters: {
      kernelH,
      kernelW,
      strideH,
      strideW,
      padTop,
      padLeft,
      padBottom,
      padRight,
      dilationH,
      dilationW,
      groups,
      activation: 'none',
      a: 0,
      b: 0,
    },
  }
  const y = runStep(step, x, [n, c, h, w], bias ? [weights, bias] : [weights], [n, o, outH, outW], target)
  return x.shape.length === 3 ? { shape: y.shape.slice(1), data: y.data } : y
}

type ImageShape = readonly [number, number, number, number]

function imageShape(x: FloatTensorLike, name: string): ImageShape {
  if (x?.shape?.length === 3) checkElements(x, 3, name)
  else checkElements(x, 4, name)
  const [n = 1, c = 1, h = 1, w = 1] = x.shape.length === 3 ? [1, ...x.shape] : x.shape
  return [n, c, h, w]
}

function checkElements(x: FloatTensorLike, rank: number, name: string): void {
  if (x?.shape?.length !== rank) throw expected(`a tensor with ${rank} dimensions`, name, x?.shape)
  if (!x.shape.every((size) => Number.isInteger(size) && size > 0))
    throw expected('positive whole sizes', `${name}.shape`, x.shape)
  if (x.data?.length !== elementCount(x.shape))
    throw expected(`${elementCount(x.shape)} elements`, `${name}.data`, x.data?.length)
}

/** Runs a plan of one step: tensor 0 is x, 1 is y, constants follow. Shapes are NCHW here and NHWC in the plan. */
function runStep(
  step: PlanStep,
  x: FloatTensorLike,
  xShape: ImageShape,
  constants: readonly FloatTensorLike[],
  yShape: ImageShape,
  target: string | undefined,
): FloatTensor {
  const loaded = loadAddon()
  if ('reason' in loaded) throw new GapcamError('ENGINE_UNAVAILABLE', `native engine: ${loaded.reason}`)
  const session = loaded.addon.openSessionSync(
    serializePlan(planOf(step, xShape, constants, yShape)),
    target === undefined ? { threads: 1 } : { threads: 1, target },
  )
  const [input, output] = [session.inputs[0]!, session.outputs[0]!]
  nchwToNhwc(x.data, xShape, input.data as Float32Array)
  session.runSync()
  const data = new Float32Array(elementCount(yShape))
  nhwcToNchw(output.data as Float32Array, nhwc(yShape), data)
  return { shape: yShape, data }
}

function nhwc([n, c, h, w]: ImageShape): ImageShape {
  return [n, h, w, c]
}

function planOf(
  step: PlanStep,
  xShape: ImageShape,
  constants: readonly FloatTensorLike[],
  yShape: ImageShape,
): Parameters<typeof serializePlan>[0] {
  const yAt = align64(elementCount(xShape) * 4)
  let constantBytes = 0
  const chunks = constants.map(({ data, shape }) => {
    const offset = constantBytes
    constantBytes += align64(data.length * 4)
    return { offset, shape, bytes: new Uint8Array(Float32Array.from(data).buffer) }
  })
  const tensor = { type: 'float32', scale: 1, zeroPoint: 0 } as const
  return {
    tensors: [
      { ...tensor, name: 'x', storage: 'arena', shape: nhwc(xShape), offset: 0 },
      { ...tensor, name: 'y', storage: 'arena', shape: nhwc(yShape), offset: yAt },
      ...chunks.map(({ offset, shape }, i) => ({
        ...tensor,
        name: `constant ${i}`,
        storage: 'constant' as const,
        shape,
        offset,
      })),
    ],
    steps: [step],
    inputs: [{ name: 'x', tensor: 0, layout: 'nhwc' }],
    outputs: [{ name: 'y', tensor: 1, layout: 'nhwc' }],
    arenaBytes: yAt + align64(elementCount(yShape) * 4),
    constants: chunks,
    constantBytes,
  }
}
