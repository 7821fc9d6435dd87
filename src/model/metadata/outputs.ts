/**
 * Chooses the value that holds one score per class. A file may give it as an output, or only what was made from it: the
 * index of the best class, the best few, a map, a text. Then the value in front of that node is taken. What is no
 * classifier is refused in one sentence.
 */
import { elementCount } from '../../tensor.js'
import type { Graph, Node, Value } from '../graph.js'

/** The value that holds the scores. */
export interface ScoresValue {
  /** Its name: an output of the file, or an inner value. */
  readonly name: string
  /** Numbers in one row, if the graph tells. */
  readonly count: number | null
  /** The node that it was taken in front of; null for an output of the file. */
  readonly before: string | null
  /** Class names that the file itself maps indices to. */
  readonly labels: readonly string[] | null
  /** Other outputs with several numbers in one row, of another count, that nothing tells from this one. */
  readonly rivals: readonly string[]
}

/** A value that may hold the scores. */
type Candidate = Omit<ScoresValue, 'rivals'>

/** What else is known: the manifest's output, and the number of labels. */
export interface OutputHints {
  readonly output?: string | undefined
  readonly labels?: number | undefined
}

/** Chooses from a prepared graph. `batch` is the size of the input's first axis. */
export function scoresValue(
  graph: Graph,
  hints: OutputHints = {},
  batch = 1,
): ScoresValue | { readonly reason: string } {
  const finder = new OutputFinder(graph, batch)
  if (hints.output !== undefined) {
    const named = finder.named(hints.output)
    return 'reason' in named ? named : { ...named, rivals: [] }
  }
  const detection = detects(graph)
  const found = graph.outputs.flatMap((output) => finder.candidate(output.name) ?? [])
  const candidates = found.filter(({ name }, i) => found.findIndex((other) => other.name === name) === i)
  const fitting = candidates.filter(({ count }) => fits(count, hints.labels))
  if (candidates.length === 0 || (detection !== null && fitting.length === 0))
    return { reason: `it is not a classifier: ${detection ?? finder.shapes()}` }
  const [best, ...rest] = (fitting.length > 0 ? fitting : candidates).toSorted(
    (a, b) => rankOf(b, graph) - rankOf(a, graph),
  ) as [Candidate, ...Candidate[]]
  const rivals = rest.filter(({ name, count }) => count !== best.count && (count ?? 2) > 1 && !otherNames.test(name))
  return { ...best, rivals: rivals.map(({ name }) => name) }
}

/** Whether a row of so many numbers fits so many labels; one number fits the two labels of a binary head. */
function fits(count: number | null, labels: number | undefined): boolean {
  return labels !== undefined && count !== null && (count === labels || (count === 1 && labels === 2))
}

/** Higher for what looks more like scores: several numbers, a telling name, a vector rather than a map. */
function rankOf({ name, count }: Candidate, graph: Graph): number {
  const isMany = count === null || count > 1 ? 8 : 0
  const isVector = shapeOf(graph, name)?.length === 2 ? 1 : 0
  return isMany + isVector + (goodNames.test(name) ? 2 : 0) - (otherNames.test(name) ? 4 : 0)
}

const goodNames = /prob|score|softmax|sigmoid|logit|class|pred|label/i
const otherNames = /feat|embed|hidden|pool|aux|attention|uncertain|latent|token/i
const detectorNames = /(^|[^a-z])(bbox(es)?|box(es)?|detections?|masks?|keypoints?|anchors?|landmarks?)([^a-z]|$)/i
const detectorNodes = new Set(['NonMaxSuppression', 'EfficientNMS_TRT', 'RoiAlign', 'MultilevelProposalsPlugin'])

/** What shows that a graph detects objects; null if nothing does. */
function detects(graph: Graph): string | null {
  const node = graph.nodes.find(({ op }) => detectorNodes.has(op))
  if (node) return `it looks for objects (${node.op})`
  const boxes = graph.outputs.find(({ name }) => detectorNames.test(name))
  return boxes ? `its output ${boxes.name} holds places in the picture` : null
}

/** Operators between an index and what shows it. */
const passing = new Set(['Cast', 'Identity', 'Squeeze', 'Unsqueeze', 'Reshape', 'Flatten', 'OneHot'])
/** Nodes whose first input holds the scores. */
const choosing = new Set(['ArgMax', 'TopK', 'ZipMap', 'Hardmax', 'DynamicQuantizeLinear'])
/** Nodes that turn an index into a label; the index is this input. */
const naming: Readonly<Record<string, number>> = {
  LabelEncoder: 0,
  ArrayFeatureExtractor: 1,
  Gather: 1,
  CategoryMapper: 0,
}
/** Nodes of scikit-learn whose outputs are a label and its scores. */
const sklearn = new Set(['TreeEnsembleClassifier', 'LinearClassifier', 'SVMClassifier'])

class OutputFinder {
  readonly #graph: Graph
  readonly #batch: number
  readonly #makers: ReadonlyMap<string, Node>

  constructor(graph: Graph, batch: number) {
    this.#graph = graph
    this.#batch = batch
    this.#makers = new Map(graph.nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)))
  }

  /** The value that a manifest names. */
  named(name: string): Candidate | { readonly reason: string } {
    const isThere = this.#makers.has(name) || this.#graph.outputs.some((output) => output.name === name)
    if (!isThere) return { reason: `it has no output ${name}, which its manifest names` }
    return this.candidate(name) ?? { reason: `its output ${name}, which its manifest names, holds no scores` }
  }

  /** What an output says about classes; null if it cannot be scores. */
  candidate(output: string): Candidate | null {
    const { name, before, labels } = this.#behind(output)
    const value = this.#graph.values.get(name)
    const declared = this.#graph.outputs.find((each) => each.name === name)
    const type = value?.type ?? declared?.type
    if (before === null && type !== undefined && !scoreTypes.has(type)) return null
    if (before === null && type === undefined && !value && declared?.shape === undefined && this.#isNoTensor(name))
      return null
    const shape = shapeOf(this.#graph, name)
    const count = shape ? rowLength(shape, this.#batch) : null
    return shape && count === null ? null : { name, count, before, labels }
  }

  /** The outputs' shapes, for the sentence of a refusal. */
  shapes(): string {
    const ports = this.#graph.outputs.map(({ name, type, shape }) => {
      const sizes = shapeOf(this.#graph, name) ?? shape
      return `${name} ${this.#graph.values.get(name)?.type ?? type ?? 'of no numbers'}${sizes ? ` [${sizes.join(', ')}]` : ''}`
    })
    return `no output has one number for each class, but ${ports.join('; ')}`
  }

  /** Walks from what shows the answer to the scores that it was made from. */
  #behind(output: string): Pick<ScoresValue, 'name' | 'before' | 'labels'> {
    let [name, labels] = [output, null as readonly string[] | null]
    for (let node = this.#makers.get(name); node; node = this.#makers.get(name)) {
      const indexAt = naming[node.op]
      if (choosing.has(node.op) || this.#hasOpenScale(node)) {
        const [scores = ''] = node.inputs
        return { name: scores, before: node.op, labels: labels ?? labelsOf(node) }
      }
      if (sklearn.has(node.op) && node.domain === 'ai.onnx.ml' && node.outputs[1])
        return { name: node.outputs[1], before: null, labels: labelsOf(node) }
      if (indexAt !== undefined && this.#isTable(node)) {
        labels = labelsOf(node) ?? this.#textsOf(node.inputs[1 - indexAt] ?? '')
        name = node.inputs[indexAt] ?? ''
      } else if (passing.has(node.op) && node.inputs[0]) name = node.inputs[0]
      else break
    }
    return { name: output, before: null, labels: null }
  }

  /** Whether a node looks an index up in a table of the file. */
  #isTable({ op, inputs }: Node): boolean {
    if (op === 'LabelEncoder' || op === 'CategoryMapper') return true
    const [table = ''] = inputs
    return this.#graph.constants.has(table) || this.#textsOf(table) !== null
  }

  /** The strings of a table, in an initializer or in a Constant node. */
  #textsOf(name: string): readonly string[] | null {
    const value = this.#makers.get(name)?.attributes['value']
    return this.#graph.opaque?.get(name) ?? (value?.kind === 'strings' ? value.value : null)
  }

  /** Whether a node quantises with a scale that only a run tells. */
  #hasOpenScale({ op, inputs }: Node): boolean {
    return op === 'QuantizeLinear' && !this.#graph.constants.has(inputs[1] ?? '')
  }

  #isNoTensor(name: string): boolean {
    const node = this.#makers.get(name)
    return node === undefined || node.op === 'ZipMap' || naming[node.op] !== undefined
  }
}

const scoreTypes = new Set(['float32', 'float16', 'float64', 'uint8', 'int8', 'uint16', 'int16'])

/** Class names in the attributes of ZipMap, LabelEncoder and scikit-learn's classifiers, in order of the index. */
function labelsOf({ attributes }: Node): readonly string[] | null {
  const keys = attributes['keys_int64s']
  for (const key of ['classlabels_strings', 'values_strings', 'classes_strings', 'cats_strings']) {
    const texts = attributes[key]
    if (texts?.kind !== 'strings' || texts.value.length === 0) continue
    if (key !== 'values_strings' || keys?.kind !== 'ints') return texts.value
    const sorted = keys.value.map((index, i) => [index, texts.value[i] ?? ''] as const).sort(([a], [b]) => a - b)
    return sorted.every(([index], i) => index === i) ? sorted.map(([, text]) => text) : null
  }
  return null
}

function shapeOf(graph: Graph, name: string): readonly number[] | null {
  const shape: Value['shape'] = graph.values.get(name)?.shape ?? graph.constants.get(name)?.shape
  return shape?.every((size): size is number => typeof size === 'number' && size >= 0) ? shape : null
}

/**
 * The numbers of one row: of [classes], [batch, classes] or either with further axes of size 1. Null for a map, a list of
 * boxes or anything else with several numbers for each class.
 */
export function rowLength(shape: readonly number[], batch: number): number | null {
  const [first = 1] = shape
  const isBatch = shape.length > 1 && (first === batch || first === 1)
  const rest = isBatch ? shape.slice(1) : shape
  const wide = rest.filter((size) => size !== 1)
  return wide.length <= 1 && elementCount(rest) > 0 ? (wide[0] ?? 1) : null
}
