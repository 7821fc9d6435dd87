/**
 * Removes the rows and columns of a convolution's kernel that lie over padding at every place: on a small map a kernel with a large
 * dilation, as in DeepLab's pyramid, is a 1×1 convolution.
 */
import { floatConstant, type Constant, type Graph, type Node } from '../graph.js'
import { GraphIndex } from '../graph-index.js'
import { shapeIn } from '../head.js'
import { resolveWindow } from '../shapes/window.js'
import { unlessUnsupported } from './attempt.js'
import { applyChanges, changed } from './changes.js'

/** The taps of a kernel that stay on one axis, and the padding around them. */
interface Kept {
  readonly first: number
  readonly count: number
  readonly before: number
  readonly after: number
}

/** Every convolution over a picture whose weights are constant floats. */
export function dropTaps(graph: Graph): Graph {
  const index = GraphIndex.of(graph)
  const replaced = new Map<Node, readonly Node[]>()
  const constants = new Map<string, Constant>()
  for (const node of graph.nodes) {
    const kept = node.op === 'Conv' ? keptOf(index, node) : null
    const weights = graph.constants.get(node.inputs[1] ?? '')
    if (!kept || weights?.type !== 'float32') continue
    const [down, across] = kept
    const name = `${node.inputs[1]} taps ${down.first} ${down.count} ${across.first} ${across.count}`
    constants.set(name, cut(weights, down, across))
    replaced.set(node, [
      changed(node, {
        inputs: [node.inputs[0]!, name, ...node.inputs.slice(2)],
        attributes: {
          kernel_shape: { kind: 'ints', value: [down.count, across.count] },
          pads: { kind: 'ints', value: [down.before, across.before, down.after, across.after] },
          auto_pad: { kind: 'string', value: 'NOTSET' },
        },
      }),
    ])
  }
  return applyChanges(graph, { replaced, constants })
}

/** What stays of a kernel; null where all of it does. */
function keptOf(index: GraphIndex, node: Node): readonly [Kept, Kept] | null {
  const [input, weights] = [shapeIn(index.graph, node.inputs[0]), shapeIn(index.graph, node.inputs[1])]
  if (input?.length !== 4 || weights?.length !== 4) return null
  const [, , height, width] = input as readonly [number, number, number, number]
  const [, , kernelH, kernelW] = weights as readonly [number, number, number, number]
  const window = unlessUnsupported(() => resolveWindow(index.view(node), [height, width], [kernelH, kernelW]))
  if (!window) return null
  const { kernel, strides, dilations, pads, output } = window
  const axes = [height, width].map((size, axis) =>
    keptOn({
      size,
      kernel: kernel[axis]!,
      stride: strides[axis]!,
      dilation: dilations[axis]!,
      before: pads[axis]!,
      after: pads[axis + 2]!,
      output: output[axis]!,
    }),
  ) as [Kept, Kept]
  return axes.every(({ count }, axis) => count === kernel[axis]) ? null : axes
}

interface Axis {
  readonly size: number
  readonly kernel: number
  readonly stride: number
  readonly dilation: number
  readonly before: number
  readonly after: number
  readonly output: number
}

/** Without the taps at both ends that reach no place of the input, as far as padding is left to take away. */
function keptOn({ size, kernel, stride, dilation, before, after, output }: Axis): Kept {
  const last = (output - 1) * stride - before
  const isBefore = (tap: number): boolean => last + tap * dilation < 0
  const isAfter = (tap: number): boolean => tap * dilation - before >= size
  let [first, end] = [0, kernel]
  while (end - first > 1 && isBefore(first) && before - (first + 1) * dilation >= 0) first++
  while (end - first > 1 && isAfter(end - 1) && after - (kernel - end + 1) * dilation >= 0) end--
  return { first, count: end - first, before: before - first * dilation, after: after - (kernel - end) * dilation }
}

/** The weights [out, in, height, width] of the taps that stay. */
function cut({ shape, bytes }: Constant, down: Kept, across: Kept): Constant {
  const [outputs, inputs, height, width] = shape as readonly [number, number, number, number]
  const all = new Float32Array(bytes.slice().buffer)
  const data = new Float32Array(outputs * inputs * down.count * across.count)
  let to = 0
  for (let filter = 0; filter < outputs * inputs; filter++)
    for (let y = down.first; y < down.first + down.count; y++)
      for (let x = across.first; x < across.first + across.count; x++)
        data[to++] = all[(filter * height + y) * width + x]!
  return floatConstant([outputs, inputs, down.count, across.count], data)
}
