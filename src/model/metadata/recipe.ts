/**
 * Reads from the model file how it expects its pixels: the scaling in front of the first layer, and the metadata of
 * exporters, which also hold labels. Everything here is optional and has lower precedence than a manifest.
 */
import { numbersOf, type Constant, type Graph, type Node } from '../graph.js'
import { bytes, exporterRecipe, shares } from './exporters.js'
import type { Recipe } from './schema.js'

/** The scaling in front of the first layer, and over it what the exporter's metadata say. */
export function recipeOf(graph: Graph, metadata: ReadonlyMap<string, string>): Recipe {
  return { ...scalingOf(graph), ...exporterRecipe(metadata) }
}

/** Operators in front of a network that do not change the values of pixels. */
export const movers: ReadonlySet<string> = new Set([
  'Cast',
  'Clip',
  'Gather',
  'Identity',
  'Reshape',
  'Resize',
  'Slice',
  'Squeeze',
  'Transpose',
  'Unsqueeze',
])
/** Arithmetic with a constant, applied to y = factor · x + offset. */
const affines: Readonly<Record<string, (line: Line, value: number) => Line>> = {
  Mul: ({ factor, offset }, v) => ({ factor: factor * v, offset: offset * v }),
  Div: ({ factor, offset }, v) => ({ factor: factor / v, offset: offset / v }),
  Add: ({ factor, offset }, v) => ({ factor, offset: offset + v }),
  Sub: ({ factor, offset }, v) => ({ factor, offset: offset - v }),
}

interface Line {
  readonly factor: number
  readonly offset: number
}

/** The pixel range that the arithmetic with constants in front of the first layer expects; empty if there is none. */
function scalingOf(graph: Graph): Recipe {
  const lines = graph.inputs.length === 1 ? linesInFront(graph, graph.inputs[0]!.name) : []
  if (lines.length === 0) return {}
  if (
    lines.every(({ factor }) => isOne(255 * factor)) ||
    lines.every(({ factor, offset }) => factor === 1 && Math.abs(offset) > 10)
  )
    return bytes
  return lines.every(({ factor, offset }) => isOne(factor) && Math.abs(offset) < 10) ? shares : {}
}

/** Whether networks are trained on a range of this width: 1, 2, or 1 divided by a standard deviation. */
const isOne = (width: number): boolean => width > 0.9 && width < 6

/** The scaling of each channel, or one for all; empty if something other than a scaling comes first. */
function linesInFront(graph: Graph, input: string): readonly Line[] {
  const made = new Map(
    graph.nodes.filter(({ op }) => op === 'Constant').map((node) => [node.outputs[0]!, constantOf(node)]),
  )
  let lines: readonly Line[] = []
  for (let value = input; ; ) {
    const [node, ...others] = graph.nodes.filter(({ op, inputs }) => op !== 'Shape' && inputs.includes(value))
    if (!node || others.length > 0 || node.domain !== '') return []
    const apply = affines[node.op]
    if (!apply && !movers.has(node.op)) return lines
    if (apply) {
      const other = node.inputs[node.inputs[0] === value ? 1 : 0] ?? ''
      const constant = graph.constants.get(other) ?? made.get(other)
      if (!constant || (node.op === 'Div' && node.inputs[0] !== value)) return []
      lines = combined(lines, numbersOf(constant), apply)
    }
    value = node.outputs[0]!
  }
}

function combined(
  lines: readonly Line[],
  values: readonly number[],
  apply: (line: Line, value: number) => Line,
): readonly Line[] {
  const before = lines.length > 0 ? lines : [{ factor: 1, offset: 0 }]
  const count = Math.max(before.length, values.length)
  return count > 4
    ? []
    : Array.from({ length: count }, (_, i) => apply(before[i % before.length]!, values[i % values.length]!))
}

function constantOf({ attributes: { value, value_float } }: Node): Constant | undefined {
  if (value_float?.kind === 'float')
    return { type: 'float32', shape: [], bytes: new Uint8Array(Float32Array.of(value_float.value).buffer) }
  return value?.kind === 'tensor' ? value.value : undefined
}
