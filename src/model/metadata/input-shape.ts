/**
 * Completes the shape of a model's only input: free sizes, a free number of channels, no shape at all. What the graph does
 * not tell is taken from the manifest, else assumed and reported.
 */
import { clipDefaults, type ClipOptions } from '../../decision/task.js'
import type { InputSize } from '../../tensor.js'
import { intAttribute, intsAttribute, type Dimension, type Graph, type Node, type Value } from '../graph.js'
import { withGraph, type LoadedModel } from '../onnx/onnx.js'
import { findManifest } from './manifest.js'
import type { Manifest } from './schema.js'
import { axesOf as clipAxesOf, clipAxes } from './video.js'

/** A model that can be opened with `inputSize`, and what was assumed for that. */
export interface SettledInput {
  readonly model: LoadedModel
  readonly inputSize: InputSize | undefined
  readonly assumed: readonly string[]
}

/** What the caller wants of an input; its size also replaces the fixed size of a picture input. */
export interface WantedInput {
  readonly inputSize?: InputSize | undefined
  readonly clip?: ClipOptions | undefined
}

/** Completes the input of a model by what the caller wants, the manifest, or assumptions. */
export function settleInput(
  model: LoadedModel,
  manifest: Pick<Manifest, 'inputSize' | 'layout' | 'video'>,
  { inputSize: asked, clip }: WantedInput,
): SettledInput {
  const { graph } = model
  const [input] = graph.inputs
  if (graph.inputs.length !== 1 || input === undefined) return { model, inputSize: asked, assumed: [] }
  const front = frontOf(graph, input.name)
  const shape = input.shape ?? new Array<Dimension>(front.rank).fill(null)
  if (shape.length === 5) return settleClip(model, { ...manifest, shape }, { inputSize: asked, clip })
  if (shape.length !== 3 && shape.length !== 4) return { model, inputSize: asked, assumed: [] }
  const at = axesOf(shape, manifest.layout ?? front.layout)
  const isFree = typeof shape[at.height] !== 'number' || typeof shape[at.width] !== 'number'
  const [height, width] = manifest.inputSize ?? [224, 224]
  const wanted = asked ?? { height: numberOr(shape[at.height], height), width: numberOr(shape[at.width], width) }
  const settled = shape.slice()
  settled[at.channels] = numberOr(shape[at.channels], front.channels)
  if (shape.length === 3) {
    // Only pictures in batches can be resized later.
    settled[at.height] = numberOr(shape[at.height], wanted.height)
    settled[at.width] = numberOr(shape[at.width], wanted.width)
  }
  const isSame = input.shape !== undefined && settled.every((size, i) => size === shape[i])
  return {
    model: isSame ? model : withGraph(model, withInput(graph, { ...input, shape: settled })),
    inputSize: isFree ? wanted : asked,
    assumed: isFree && !asked && !manifest.inputSize ? [assumption(input, wanted)] : [],
  }
}

/** Sides of pictures in clips where nothing says them, as networks for actions have them. */
const clipSide = 112

/** Completes the shape of a clip: one clip of colour pictures, where the file leaves sizes open. */
function settleClip(
  model: LoadedModel,
  known: Pick<Manifest, 'inputSize' | 'video'> & { readonly shape: readonly Dimension[] },
  { inputSize: asked, clip }: WantedInput,
): SettledInput {
  const { shape, video = {}, inputSize: [height, width] = [clipSide, clipSide] } = known
  const at = clipAxes[video.axes ?? clipAxesOf(shape)]
  const count = clip?.frames ?? video.frames ?? clipDefaults.frames
  const settled = shape.slice()
  const free: string[] = []
  const set = (axis: number, size: number, what?: string): void => {
    if (typeof shape[axis] === 'number') return
    settled[axis] = size
    if (what !== undefined) free.push(what)
  }
  set(0, 1)
  set(at.channels, 3)
  set(
    at.frames,
    count,
    clip?.frames === undefined && video.frames === undefined ? `clips of ${count} frames` : undefined,
  )
  const isAssumed = !asked && !known.inputSize
  set(at.height, asked?.height ?? height, isAssumed ? `pictures ${height} high` : undefined)
  set(at.width, asked?.width ?? width, isAssumed ? `pictures ${width} wide` : undefined)
  const [input] = model.graph.inputs
  const isSame = settled.every((size, i) => size === shape[i])
  return {
    model: isSame ? model : withGraph(model, withInput(model.graph, { ...input!, shape: settled })),
    inputSize: undefined,
    assumed: free.map((what) => `${what} (the file leaves it free, no manifest says otherwise)`),
  }
}

const numberOr = (size: Dimension | undefined, otherwise: number): number =>
  typeof size === 'number' ? size : otherwise

function assumption({ shape, name }: Value, { height, width }: InputSize): string {
  return `input size ${height}x${width} (${shape ? 'the file leaves it free' : `the file gives ${name} no shape`}, no manifest says otherwise)`
}

/** The same with the model's own manifest. Rejects with MANIFEST_INVALID, or MODEL_INVALID if the digest differs. */
export async function settledModel(model: LoadedModel, asked: InputSize | undefined): Promise<SettledInput> {
  return settleInput(model, (await findManifest(model)).manifest, { inputSize: asked })
}

interface Axes {
  readonly channels: number
  readonly height: number
  readonly width: number
}

/** Where channels, height and width are. A size of 1, 3 or 4 at one end is the channels. */
function axesOf(shape: readonly Dimension[], hint: 'nchw' | 'nhwc' | null | undefined): Axes {
  const start = shape.length - 3
  const [first, last] = [isChannels(shape[start]), isChannels(shape[start + 2])]
  const isLast = first === last ? hint === 'nhwc' || (hint == null && !first && shape.length === 3) : last
  return isLast
    ? { height: start, width: start + 1, channels: start + 2 }
    : { channels: start, height: start + 1, width: start + 2 }
}

const isChannels = (size: Dimension | undefined): boolean => size === 1 || size === 3 || size === 4

interface Front {
  readonly rank: 3 | 4
  readonly layout: 'nchw' | 'nhwc' | null
  readonly channels: number
}

/** What the nodes behind the input show: its rank and layout, and the channels that the first convolution reads. */
function frontOf(graph: Graph, input: string): Front {
  let [name, rank, layout] = [input, 4 as 3 | 4, null as Front['layout']]
  for (let steps = 0; steps < 30; steps++) {
    const node: Node | undefined = graph.nodes.find(({ op, inputs }) => op !== 'Shape' && inputs[0] === name)
    if (!node) break
    const perm = node.op === 'Transpose' ? intsAttribute(node, 'perm') : undefined
    if (perm && layout === null) layout = perm.at(1 - 4) === perm.length - 1 ? 'nhwc' : 'nchw'
    if (node.op === 'Unsqueeze' && layout === null) rank = 3
    if (node.op === 'Conv') {
      const weights = graph.constants.get(node.inputs[1] ?? '')?.shape
      const channels = (weights?.[1] ?? 3) * intAttribute(node, 'group', 1)
      return { rank, layout: layout ?? 'nchw', channels: channels === 1 ? 1 : 3 }
    }
    name = node.outputs[0] ?? ''
  }
  return { rank, layout, channels: 3 }
}

function withInput(graph: Graph, input: Value): Graph {
  return { ...graph, inputs: [input], values: new Map(graph.values).set(input.name, input) }
}
