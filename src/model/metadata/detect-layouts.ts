/**
 * Recognises detectors by the shapes, types and names of their outputs and by metadata: each kind of exporter is a row of
 * `kinds`. The first that fits is taken; the manifest's field `detect` has precedence in every field.
 */
import type { TensorType } from '../../tensor.js'
import type { Graph } from '../graph.js'
import { GraphIndex } from '../graph-index.js'
import { detectSchema, outputsOf, type DetectLayout, type DetectOverrides } from './detect.js'
import { bytes as inLevels, shares } from './exporters.js'
import type { RecognisedTask, Recogniser, TaskHints } from './task-facts.js'

interface Port {
  readonly name: string
  readonly type: TensorType | undefined
  /** Sizes; null for one that only a run tells. */
  readonly shape: readonly (number | null)[]
}

/** A layout with what is still to be told, its words, and the pixels that such networks take. */
interface Guess {
  readonly layout: DetectOverrides
  readonly what: string
  readonly recipe?: RecognisedTask['recipe']
}

type Kind = (ports: readonly Port[], graph: Graph, hints: TaskHints) => Guess | null

const usual = {
  coordinates: 'corners',
  unit: 'shares',
  activation: 'none',
  background: 'none',
  firstClass: 0,
  minScore: 0.4,
  overlap: 0.5,
  suppression: 'plain',
  perClass: true,
  most: 100,
} as const satisfies DetectOverrides

/** Trained on whole pictures that were squeezed. */
const squeezed = { resize: 'stretch' } as const
/** Trained on whole pictures between grey bars. */
const letterbox = { resize: 'contain', fill: [114, 114, 114] } as const satisfies RecognisedTask['recipe']
const letterboxed = { ...shares, ...letterbox } as const satisfies RecognisedTask['recipe']

const isFloat = ({ type }: Port): boolean => type === undefined || type.startsWith('float')
const isInteger = ({ type }: Port): boolean => type === 'int64' || type === 'int32'

/** Finished boxes of torchvision: [n, 4], scores [n] and integer classes [n], in any order, in pixels of the input. */
const torchvision: Kind = (ports) => {
  if (ports.length !== 3) return null
  const boxes = ports.find(({ shape }) => shape.length === 2 && shape[1] === 4)
  const classes = ports.find((port) => port !== boxes && port.shape.length === 1 && isInteger(port))
  const scores = ports.find((port) => port !== boxes && port !== classes && port.shape.length === 1 && isFloat(port))
  if (!boxes || !classes || !scores) return null
  return {
    what: 'finished boxes as torchvision gives them',
    recipe: { ...shares, ...squeezed },
    layout: {
      format: 'boxes',
      boxes: boxes.name,
      scores: scores.name,
      classes: classes.name,
      unit: 'pixels',
      firstClass: 1,
      overlap: 1,
    },
  }
}

/** Finished boxes of TensorFlow: [1, n, 4], [1, n], [1, n] and a count, told apart by their names or their order. */
const tensorflow: Kind = (ports) => {
  const boxes = ports.find(({ shape }) => shape.length === 3 && shape[2] === 4)
  const rows = ports.filter(({ shape }) => shape.length === 2 && shape[0] === 1 && shape[1] !== 1)
  const count = ports.find(({ shape }) => shape.length === 1)
  if (ports.length !== 4 || !boxes || rows.length !== 2 || !count) return null
  const classes = rows.find(({ name }) => /class/i.test(name)) ?? rows[0]!
  const scores = rows.find((row) => row !== classes)!
  return {
    what: 'finished boxes as TensorFlow gives them',
    recipe: squeezed,
    layout: {
      format: 'boxes',
      boxes: boxes.name,
      scores: scores.name,
      classes: classes.name,
      count: count.name,
      coordinates: 'corners-yx',
      overlap: 1,
    },
  }
}

/** One output of rows or columns, as YOLO's exporters write it. */
const yolo: Kind = (ports, graph, { metadata, labels }) => {
  const [port] = ports
  const [batch, rows, columns] = port?.shape ?? []
  if (ports.length !== 1 || !port || port.shape.length !== 3 || batch !== 1 || !rows || !columns) return null
  const all = { boxes: port.name, coordinates: 'centre', unit: 'pixels', minScore: 0.25, overlap: 0.45 } as const
  const recipe = letterboxed
  if (columns === 6 && rows <= 1000)
    return {
      what: 'finished boxes in rows of six',
      recipe,
      layout: { ...all, format: 'rows', coordinates: 'corners', overlap: 1 },
    }
  if (rows >= 5 && columns > 2 * rows)
    return { what: 'YOLO, version 8 or later', recipe, layout: { ...all, format: 'yolo', classCount: rows - 4 } }
  if (columns >= 6 && rows > 2 * columns) {
    if (columns === (labels ?? 0) + 4)
      return {
        what: 'boxes in shares and scores in rows, as RT-DETR gives them',
        recipe: { ...shares, ...squeezed },
        layout: { ...all, format: 'yolo', unit: 'shares', overlap: 1, classCount: columns - 4 },
      }
    const layout = { ...all, classCount: columns - 5 }
    if (
      rows === cellsOf(graph, yoloxStrides) &&
      makersOf(graph, port.name).every((op) => op === 'Conv' || op === 'Sigmoid')
    )
      return {
        what: 'YOLOX',
        recipe: { ...inLevels, ...letterbox, colorOrder: 'bgr' },
        layout: { ...layout, format: 'yolox', anchors: { strides: yoloxStrides, perPlace: 1 } },
      }
    return { what: 'YOLO, version 5 to 7', recipe, layout: { ...layout, format: 'yolo5' } }
  }
  return metadata.get('task') === 'detect' ? { what: 'a detector, by its metadata', layout: all } : null
}

const yoloxStrides = [8, 16, 32]

/** The operators that made the numbers of an output, behind those that only move numbers. */
function makersOf(graph: Graph, output: string): string[] {
  const index = GraphIndex.of(graph)
  const makers = new Set<string>()
  const seen = new Set<string>()
  const visit = (name: string): void => {
    if (seen.has(name)) return
    seen.add(name)
    const node = index.maker(name)
    if (!node || graph.constants.has(name)) return
    if (!movers.has(node.op)) makers.add(node.op)
    else for (const input of node.op === 'Concat' ? node.inputs : node.inputs.slice(0, 1)) visit(input)
  }
  visit(output)
  return [...makers]
}

const movers = new Set(['Concat', 'Transpose', 'Reshape', 'Squeeze', 'Unsqueeze', 'Identity', 'Flatten', 'Cast'])

/** The cells of grids with these strides over the network's input. */
function cellsOf({ inputs }: Graph, strides: readonly number[]): number {
  const [height, width] = sidesOf(inputs[0]?.shape ?? [])
  return strides.reduce((sum, stride) => sum + Math.ceil(height / stride) * Math.ceil(width / stride), 0)
}

/** Height and width of [1, channels, height, width] or [1, height, width, channels]; 0 where they are open. */
function sidesOf(shape: readonly (number | string | null)[]): readonly [height: number, width: number] {
  const sizes = shape.map((size) => (typeof size === 'number' ? size : 0))
  return sizes[1]! <= 4 ? [sizes[2] ?? 0, sizes[3] ?? 0] : [sizes[1] ?? 0, sizes[2] ?? 0]
}

/** Strides of the anchors of MediaPipe's networks, and how many each place has. */
const mediapipeGrids = [
  { strides: [8, 16, 16, 16], perPlace: 2 },
  { strides: [16, 32, 32, 32], perPlace: 2 },
  { strides: [8, 16, 32, 32, 32], perPlace: 2 },
  { strides: [4], perPlace: 1 },
]

/** MediaPipe's networks: squares of the size 1 as anchors, key points behind each box, overlapping boxes averaged. */
const mediapipe: Kind = (ports, graph) => {
  const [height, width] = sidesOf(graph.inputs[0]?.shape ?? [])
  if (ports.length !== 2 || height === 0 || height !== width) return null
  const [boxes, scores] = ports.toSorted((a, b) => (b.shape[2] ?? 0) - (a.shape[2] ?? 0)) as [Port, Port]
  const [, count, numbers] = boxes.shape
  if (scores.shape.join() !== `1,${count},1` || !numbers || numbers < 12 || numbers % 2 > 0) return null
  const anchors = mediapipeGrids.find(({ strides, perPlace }) => perPlace * cellsOf(graph, strides) === count)
  if (!anchors) return null
  return {
    what: 'boxes relative to the anchors of MediaPipe',
    recipe: { resize: 'contain' },
    layout: {
      format: 'ssd',
      boxes: boxes.name,
      scores: scores.name,
      coordinates: 'centre',
      activation: 'sigmoid',
      classCount: 1,
      anchors,
      scales: [height, height, height, height],
      minScore: 0.5,
      overlap: 0.3,
      suppression: 'weighted',
    },
  }
}

/** Boxes and class numbers of many places. Boxes behind a sigmoid are whole ones (DETR); others need a manifest's anchors. */
const anchored: Kind = (ports, graph, { labels }) => {
  const isList = ({ shape }: Port): boolean => shape.length === 3 && (shape[1] ?? 0) >= 16
  const boxes =
    ports.find((port) => isList(port) && port.shape[2] === 4) ??
    ports.find((port) => isList(port) && (port.shape[2] ?? 0) > 4)
  const scores = ports.find((port) => port !== boxes && isList(port) && port.shape[1] === boxes?.shape[1])
  if (ports.length !== 2 || !boxes || !scores) return null
  const classes = scores.shape[2]
  const layout = {
    boxes: boxes.name,
    scores: scores.name,
    coordinates: 'centre' as const,
    ...(classes ? { classCount: classes } : {}),
  }
  if (boxes.shape[2] !== 4 || !isOnly(makersOf(graph, boxes.name), 'Sigmoid'))
    return { what: 'boxes and scores of many places', recipe: squeezed, layout }
  const isScores = isOnly(makersOf(graph, scores.name), 'Sigmoid')
  const hasBackground = !isScores && labels !== undefined && classes === labels + 1
  return {
    what: `boxes in shares and classes of many places${hasBackground ? ', the last class is none' : ''}`,
    recipe: squeezed,
    layout: {
      ...layout,
      format: 'ssd',
      anchors: 'none',
      activation: isScores ? 'none' : hasBackground ? 'softmax' : 'sigmoid',
      background: hasBackground ? 'last' : 'none',
      overlap: 1,
    },
  }
}

const isOnly = (makers: readonly string[], op: string): boolean => makers.length === 1 && makers[0] === op

const kinds: readonly Kind[] = [torchvision, tensorflow, mediapipe, yolo, anchored]

/** See `Recogniser`. */
export const recogniseDetector: Recogniser = (graph, hints) => {
  const { manifest, labels } = hints
  const ports = graph.outputs.map((output): Port => {
    const { type, shape } = { ...output, ...graph.values.get(output.name) }
    return { name: output.name, type, shape: (shape ?? []).map((size) => (typeof size === 'number' ? size : null)) }
  })
  const guess = kinds.map((kind) => kind(ports, graph, hints)).find((found) => found !== null)
  const { detect } = manifest
  if (!guess && !detect) return null
  const given = { ...usual, ...guess?.layout, ...detect }
  const layout = { ...given, classCount: given.classCount ?? labels }
  const how = guess ? `${guess.what}${detect ? ', changed by the manifest' : ', by the outputs'}` : 'by the manifest'
  const missing = missingOf(layout)
  if (missing !== null)
    return {
      reason: `it detects objects (${how}), but it cannot be told ${missing.what}; write detect: { ${missing.field} } in its manifest`,
    }
  const made = new Set([...graph.outputs.map(({ name }) => name), ...graph.nodes.flatMap(({ outputs }) => outputs)])
  const absent = outputsOf(layout).find((name) => !made.has(name))
  if (absent !== undefined) return { reason: `it has no output ${absent}, which its manifest names` }
  const background = layout.background === 'none' || detect?.classCount !== undefined ? 0 : 1
  return {
    facts: {
      task: 'detect',
      layout: detectSchema.parse({ ...layout, classCount: layout.classCount! - background }) satisfies DetectLayout,
    },
    sentence: `detect: ${how}`,
    recipe: guess?.recipe ?? squeezed,
  }
}

/** What a layout still lacks, and an example of the field that says it; null for a whole one. */
function missingOf(layout: DetectOverrides): { readonly what: string; readonly field: string } | null {
  if (layout.format === undefined) return { what: 'what the boxes are relative to', field: 'format: ssd, anchors: …' }
  if (layout.boxes === undefined) return { what: 'which output holds the boxes', field: 'boxes: NAME' }
  const isApart = layout.format === 'boxes' || layout.format === 'ssd'
  if (isApart && layout.scores === undefined) return { what: 'which output holds the scores', field: 'scores: NAME' }
  if (layout.format === 'ssd' && layout.anchors === undefined)
    return { what: 'the anchors', field: 'anchors: [[x, y, width, height], …]' }
  if (layout.classCount === undefined) return { what: 'how many classes it has', field: 'classCount: 80' }
  return layout.classCount === 0 ? { what: 'what it looks for: it has no class', field: 'classCount: 1' } : null
}
