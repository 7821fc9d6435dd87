/**
 * What a model file itself says about its pixels and labels: metadata that a trainer leaves, and the scaling that stands
 * before the first layer. It fills what no manifest says; nothing in it is needed.
 */
import { numbersOf, type Constant, type Graph, type Node } from '../graph.js'
import type { Manifest } from './manifest.js'

export type Recipe = Pick<Manifest, 'mean' | 'std' | 'inputSize'> & { readonly labels?: readonly string[] }

/** Pixels as bytes, and as shares of one. */
const bytes = { mean: [0, 0, 0], std: [1, 1, 1] } satisfies Recipe
const shares = { mean: [0, 0, 0], std: [255, 255, 255] } satisfies Recipe

export function recipeOf(graph: Graph, metadata: ReadonlyMap<string, string>): Recipe {
  return { ...scalingOf(graph), ...ultralytics(metadata) }
}

/** Ultralytics' classifiers take shares of one, and their files hold names and size as Python writes them. */
function ultralytics(metadata: ReadonlyMap<string, string>): Recipe {
  if (metadata.get('author') !== 'Ultralytics' || metadata.get('task') !== 'classify') return {}
  const [height, width] = [...(metadata.get('imgsz') ?? '').matchAll(/\d+/g)].map(([digits]) => Number(digits))
  const labels = namesOf(metadata.get('names') ?? '')
  return { ...shares, ...(height && width ? { inputSize: [height, width] } : {}), ...(labels ? { labels } : {}) }
}

/** The strings of a Python dictionary whose keys count from 0: {0: 'cat', 1: "dog's"}; null for any other. */
function namesOf(text: string): string[] | null {
  const entries = [...text.matchAll(/(\d+): ('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")/g)]
  const counts = entries.every(([, index], i) => Number(index) === i)
  return entries.length > 0 && counts
    ? entries.map(([, , quoted = '']) => quoted.slice(1, -1).replace(/\\(.)/g, '$1'))
    : null
}

/** Operators in front of a network that leave each value of a pixel what it is. */
const movers = new Set([
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
/** y = factor x + offset after each of these, by a constant. */
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

/** What the products and sums by constants between the picture and the first layer expect; nothing where there are none. */
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

/** Whether a range of this width is what networks are trained on: 1 or 2, or 1 over a deviation. */
const isOne = (width: number): boolean => width > 0.9 && width < 6

/** The map of each channel, or one for all; none where something else than a scaling comes first. */
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
