/**
 * Networks over clips [1,C,T,H,W], as networks over images: the T frames of a clip become a batch [T,C,H,W]. A
 * convolution over time becomes one over images, in which each frame also has its neighbours' channels; the weights of
 * the moments lie one after the other. A pool over time is a pool over images and a maximum or mean of neighbours. So a
 * clip needs no kernels of its own, on any target.
 *
 * Nodes that are not listed here still read a clip. Where frames are all there is, the clip is made from them.
 */
import { elementCount } from '../tensor.js'
import { unaryOps } from './activation.js'
import { floatConstant, floatsOf, int64Constant, madeNode, Unsupported } from './graph.js'
import type { Attribute, Constant, Graph, Node } from './graph.js'
import { GraphIndex } from './graph-index.js'
import { imageWindow, ints, joinedMoments, momentsCounted, momentsOf } from './moments.js'
import { resolveReduce } from './shapes/reduce.js'
import { resolveWindows, type Windows } from './shapes/window.js'

/** From [1,C,T,H,W] to [1,T,C,H,W] and back. */
const swapped = [0, 2, 1, 3, 4]
/** The axis of a batch of frames that stands for an axis of a clip. A clip's first axis has size 1. */
const frameAxis = [null, 1, 0, 2, 3] as const

const int = (value: number): Attribute => ({ kind: 'int', value })

const windows = new Set(['Conv', 'MaxPool', 'AveragePool'])

/**
 * The graph over frames; the graph itself where no window slides over a clip. Its new values have no shapes yet. Throws
 * `Unsupported` where a window over a clip has no form over frames.
 */
export function framesOfClips(graph: Graph): Graph {
  const index = GraphIndex.of(graph)
  return graph.nodes.some((node) => isOverTime(index, node)) ? new ClipRewriting(graph).rewritten() : graph
}

const isOverTime = (index: GraphIndex, { op, domain, inputs }: Node): boolean =>
  domain === '' && windows.has(op) && index.shape(inputs[0]!).length === 5

const isClip = (shape: readonly number[]): boolean => shape.length === 5 && shape[0] === 1

/** Visits the nodes in order, and knows the frames of each clip that has them. */
class ClipRewriting {
  readonly #graph: Graph
  readonly #index: GraphIndex
  readonly #nodes: Node[] = []
  readonly #constants: Map<string, Constant>
  /** By clip, the value that holds its frames. */
  readonly #frames = new Map<string, string>()
  /** Clips of which only the frames exist. */
  readonly #missing = new Set<string>()

  constructor(graph: Graph) {
    this.#graph = graph
    this.#index = GraphIndex.of(graph)
    this.#constants = new Map(graph.constants)
  }

  rewritten(): Graph {
    for (const node of this.#graph.nodes) {
      const frames = node.domain === '' ? this.#framesFrom(node) : null
      if (frames === null) {
        if (isOverTime(this.#index, node)) throw new Unsupported(refusal(node, this.#index.shape(node.inputs[0]!)))
        node.inputs.forEach((input) => this.#makeClip(input))
        this.#nodes.push(node)
      } else if (frames !== 'made') {
        this.#frames.set(node.outputs[0]!, frames)
        this.#missing.add(node.outputs[0]!)
      }
    }
    this.#graph.outputs.forEach(({ name }) => this.#makeClip(name))
    return { ...this.#graph, nodes: this.#nodes, constants: this.#constants }
  }

  /** The value with the frames of a node's result; 'made' where its result exists as it was; null where no rule fits. */
  #framesFrom(node: Node): string | 'made' | null {
    const [x = ''] = node.inputs
    if (!isClip(this.#index.shape(x)) || node.outputs.length > 1) return null
    if (unaryOps.includes(node.op) || kept.has(node.op)) return this.#same(node)
    switch (node.op) {
      case 'Conv':
        return this.#convolution(node)
      case 'MaxPool':
      case 'AveragePool':
        return this.#pool(node)
      case 'GlobalAveragePool':
        return this.#reduction(node, 'ReduceMean', [2, 3, 4], true)
      case 'GlobalMaxPool':
        return this.#reduction(node, 'ReduceMax', [2, 3, 4], true)
      case 'ReduceMean':
      case 'ReduceMax': {
        const { axes, keepsDims } = resolveReduce(this.#index.view(node))
        return this.#reduction(node, node.op, axes, keepsDims)
      }
      default:
        return broadcasting.has(node.op) ? this.#sameOfAll(node) : null
    }
  }

  /** A node whose result depends on the channel alone, besides its element. */
  #same(node: Node): string {
    return this.#rename(node, [this.#framesOf(node.inputs[0]!), ...node.inputs.slice(1)])
  }

  /** A function of several tensors, which broadcasts. */
  #sameOfAll(node: Node): string | null {
    const inputs = node.inputs.map((input) => this.#operandOf(input))
    return inputs.includes(null) ? null : this.#rename(node, inputs as string[])
  }

  #rename(node: Node, inputs: readonly string[]): string {
    const y = `${node.outputs[0]!}.frames`
    this.#nodes.push({ ...node, inputs, outputs: [y] })
    return y
  }

  #convolution(node: Node): string | null {
    const [x = '', weights = '', bias] = node.inputs
    const kernels = this.#index.constant(weights)
    if (kernels?.type !== 'float32' || kernels.shape.length !== 5) return null
    const [outputs = 0, channels = 0, times = 0, height = 0, width = 0] = kernels.shape
    const view = this.#index.view(node)
    const over = resolveWindows(view, this.#index.shape(x).slice(2), [times, height, width])
    const group = view.int('group', 1)
    const attributes = { ...imageWindow(over), group: int(group) }
    const moments = this.#moments(node, this.#framesOf(x), over, 0)
    const planes = momentsOf(floatsOf(kernels), { outputs, channels, times, plane: height * width })
    const y = `${node.outputs[0]!}.frames`
    const convolved = (data: Float32Array, shape: number[], from: string, to: string, offset: string[]): void => {
      const constant = this.#add(`${to}.weights`, floatConstant(shape, data))
      this.#op('Conv', [from, constant, ...offset], to, attributes)
    }
    const offset = bias ? [bias] : []
    if (group === 1) {
      const joined = moments.length === 1 ? moments[0]! : this.#op('Concat', moments, `${y}.moments`, { axis: int(1) })
      convolved(joinedMoments(planes, outputs), [outputs, times * channels, height, width], joined, y, offset)
      return y
    }
    // With groups, the channels of the moments would have to be interleaved. The sum of one convolution each is the same.
    const parts = moments.map((from, moment) => {
      const to = moments.length === 1 ? y : `${y}.${moment}`
      convolved(planes[moment]!, [outputs, channels, height, width], from, to, moment === 0 ? offset : [])
      return to
    })
    return this.#folded('Add', parts, y)
  }

  #pool(node: Node): string | null {
    const [x = ''] = node.inputs
    const view = this.#index.view(node)
    const [frames = 0, ...plane] = this.#index.shape(x).slice(2)
    const over = resolveWindows(view, [frames, ...plane])
    const isMean = node.op === 'AveragePool'
    const countsPadding = view.int('count_include_pad', 0)
    const y = `${node.outputs[0]!}.frames`
    const images = this.#op(node.op, [this.#framesOf(x)], `${y}.pooled`, {
      ...imageWindow(over),
      ceil_mode: int(view.int('ceil_mode', 0)),
      ...(isMean && { count_include_pad: int(countsPadding) }),
    })
    const moments = this.#moments(node, images, over, isMean ? 0 : -Infinity)
    if (!isMean) return this.#folded('Max', moments, y)
    if (moments.length === 1) return moments[0]!
    const counts = momentsCounted(over, frames, countsPadding === 1)
    const shares = floatConstant(
      [counts.length, 1, 1, 1],
      Float32Array.from(counts, (count) => 1 / count),
    )
    return this.#op('Mul', [this.#folded('Add', moments, `${y}.sum`), this.#add(`${y}.shares`, shares)], y)
  }

  /** A mean or maximum. Without kept axes the result is no clip: it is made as it was. */
  #reduction(node: Node, op: string, axes: readonly number[], keepsDims: boolean): string | 'made' | null {
    const [x = ''] = node.inputs
    const [y = ''] = node.outputs
    const isLastTime = axes.includes(2) || this.#index.shape(x)[2] === 1
    if (!keepsDims && !isLastTime) return null
    const reduced = this.#op(op, [this.#framesOf(x)], `${y}.frames`, {
      axes: ints(axes.flatMap((axis) => frameAxis[axis] ?? []).sort((a, b) => a - b)),
      keepdims: int(1),
    })
    if (keepsDims) return reduced
    this.#reshape(reduced, this.#index.shape(y), y)
    return 'made'
  }

  /**
   * For each moment of a window, the frame that the window finds there: as many frames as the result has. `outside` fills
   * what lies before and behind the clip.
   */
  #moments(node: Node, frames: string, over: Windows, outside: number): readonly string[] {
    const [moments = 1, stride = 1, dilation = 1, count = 1] = [
      over.kernel[0],
      over.strides[0],
      over.dilations[0],
      over.output[0],
    ]
    const total = this.#index.shape(node.inputs[0]!)[2]!
    const before = over.before[0]!
    const after = Math.max(0, (count - 1) * stride + (moments - 1) * dilation + 1 - total - before)
    const name = `${node.outputs[0]!}.frames`
    const padded =
      before + after === 0
        ? frames
        : this.#op('Pad', [frames], `${name}.padded`, {
            pads: ints([before, 0, 0, 0, after, 0, 0, 0]),
            value: { kind: 'float', value: outside },
          })
    if (moments === 1 && stride === 1 && count === total + before + after) return [padded]
    return Array.from({ length: moments }, (_, moment) => {
      const from = moment * dilation
      const to = from + (count - 1) * stride + 1
      return this.#op('Slice', [padded, ...this.#bounds(name, moment, from, to, stride)], `${name}.at${moment}`)
    })
  }

  /** The inputs of a Slice of frames. */
  #bounds(name: string, moment: number, from: number, to: number, stride: number): string[] {
    return [from, to, 0, stride].map((value, i) => this.#add(`${name}.at${moment}.${i}`, int64Constant([1], [value])))
  }

  /** A function of two operands over all values, from the left. */
  #folded(op: string, values: readonly string[], y: string): string {
    return values.reduce((sum, value, i) => this.#op(op, [sum, value], i === values.length - 1 ? y : `${y}.to${i}`))
  }

  /** The frames of a clip; for a constant or a number, the operand that broadcasts to frames alike. Null for other ranks. */
  #operandOf(name: string): string | null {
    const constant = this.#index.constant(name)
    if (!constant) return isClip(this.#index.shape(name)) ? this.#framesOf(name) : null
    if (elementCount(constant.shape) === 1) return name
    const [n = 1, c = 1, t = 1, ...plane] = [...Array<number>(5 - constant.shape.length).fill(1), ...constant.shape]
    if (n !== 1 || (c !== 1 && t !== 1)) return null
    return this.#add(`${name}.frames`, { ...constant, shape: [t, c, ...plane] })
  }

  #framesOf(clip: string): string {
    const known = this.#frames.get(clip)
    if (known !== undefined) return known
    const [, c = 1, t = 1, h = 1, w = 1] = this.#index.shape(clip)
    const ordered =
      c === 1 || t === 1 ? clip : this.#op('Transpose', [clip], `${clip}.ordered`, { perm: ints(swapped) })
    const frames = this.#reshape(ordered, [t, c, h, w], `${clip}.frames`)
    this.#frames.set(clip, frames)
    return frames
  }

  /** Makes a clip of which only the frames exist, where `name` is one. */
  #makeClip(name: string): void {
    if (!this.#missing.delete(name)) return
    const [, c = 1, t = 1, h = 1, w = 1] = this.#index.shape(name)
    const frames = this.#frames.get(name)!
    if (c === 1 || t === 1) return void this.#reshape(frames, [1, c, t, h, w], name)
    const ordered = this.#reshape(frames, [1, t, c, h, w], `${name}.ordered`)
    this.#op('Transpose', [ordered], name, { perm: ints(swapped) })
  }

  #reshape(x: string, sizes: readonly number[], y: string): string {
    return this.#op('Reshape', [x, this.#add(`${y}.sizes`, int64Constant([sizes.length], sizes))], y)
  }

  #op(op: string, inputs: readonly string[], output: string, attributes: Node['attributes'] = {}): string {
    this.#nodes.push(madeNode(op, { inputs, output, attributes }))
    return output
  }

  #add(name: string, constant: Constant): string {
    this.#constants.set(name, constant)
    return name
  }
}

function refusal({ name, op }: Node, shape: readonly number[]): string {
  const why = isClip(shape) ? `${op} over a clip has computed weights or further outputs` : `${shape[0]!} clips at once`
  return `${name}: ${why}; gapcam computes one clip with constant weights`
}

/** Operators of which each result depends on one element, and on parameters per channel. */
const kept = new Set(['BatchNormalization', 'Identity', 'Dropout', 'Cast'])
const broadcasting = new Set(['Add', 'Sub', 'Mul', 'Div', 'Max', 'Min', 'Sum', 'Mean'])
