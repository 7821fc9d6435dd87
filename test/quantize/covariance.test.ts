/** Covariances of a convolution's inputs: windows with padding and stride, in both orders of memory, against their definition. */
import { describe, expect, it } from 'vitest'
import { floatConstant, type Graph, type Node } from '../../src/model/graph.js'
import { covarianceOf } from '../../src/quantize/covariance.js'
import { layersOf } from '../../src/quantize/selection.js'
import { Random } from '../random.js'

const [channels, side, out] = [4, 6, 3]
const random = new Random(3)

/** A convolution 3x3 with stride 2 and a border of one pixel. */
function graphOf(group: number): Graph {
  const ints = (...values: number[]): Node['attributes'][string] => ({ kind: 'ints', value: values })
  const node: Node = {
    name: 'conv',
    op: 'Conv',
    domain: '',
    inputs: ['x', 'w'],
    outputs: ['y'],
    attributes: {
      group: { kind: 'int', value: group },
      strides: ints(2, 2),
      pads: ints(1, 1, 1, 1),
      kernel_shape: ints(3, 3),
    },
  }
  const [x, y] = [
    { name: 'x', type: 'float32', shape: [1, channels, side, side] },
    { name: 'y', type: 'float32', shape: [1, channels, out, out] },
  ] as const
  const weights = floatConstant([channels, channels / group, 3, 3], new Float32Array((channels * channels * 9) / group))
  return {
    opset: 13,
    name: 'g',
    inputs: [x],
    outputs: [y],
    nodes: [node],
    constants: new Map([['w', weights]]),
    values: new Map([x, y].map((value) => [value.name, value])),
  }
}

/** Every window of a picture [channels, side, side], for the channels of one group. */
function windowsOf(data: Float32Array, first: number, count: number): number[][] {
  const at = (c: number, y: number, x: number): number =>
    y >= 0 && y < side && x >= 0 && x < side ? data[(c * side + y) * side + x]! : 0
  const nine = Array.from({ length: 9 }, (_, k) => [Math.floor(k / 3) - 1, (k % 3) - 1] as const)
  return Array.from({ length: out * out }, (_, place) => {
    const [y, x] = [2 * Math.floor(place / out), 2 * (place % out)]
    return Array.from({ length: count }, (_, c) => nine.map(([dy, dx]) => at(first + c, y + dy, x + dx))).flat()
  })
}

describe.each([
  ['one group', 1],
  ['a group for each channel', 4],
])('covarianceOf with %s', (_, group) => {
  const graph = graphOf(group)
  const [layer] = layersOf(graph)
  const data = Float32Array.from({ length: channels * side * side }, () => random.next())

  it('is that of the windows', () => {
    const collector = covarianceOf(graph, layer!)!
    collector.add(data, true)
    const { blocks, samples, groups } = collector.finish()
    expect([samples, groups]).toEqual([out * out, group])
    blocks.forEach(([block], g) => {
      const windows = windowsOf(data, (g * channels) / group, channels / group)
      const mean = (i: number): number => windows.reduce((sum, window) => sum + window[i]!, 0) / windows.length
      for (let i = 0; i < block!.size; i++)
        for (let j = 0; j < block!.size; j++) {
          const wanted = windows.reduce((sum, window) => sum + (window[i]! - mean(i)) * (window[j]! - mean(j)), 0)
          expect(block!.matrix[i * block!.size + j]).toBeCloseTo(wanted, 4)
        }
    })
  })

  it('is the same for a tensor with channels last', () => {
    const last = data.map((_, i) => data[(i % channels) * side * side + Math.floor(i / channels)]!)
    const [first, other] = [covarianceOf(graph, layer!)!, covarianceOf(graph, layer!)!]
    first.add(data, true)
    other.add(last, false)
    expect(other.finish()).toEqual(first.finish())
  })
})
