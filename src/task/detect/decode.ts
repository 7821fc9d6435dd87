/**
 * From the outputs of a detector to candidates: one reader for each format of a layout. A reader visits every place of the
 * outputs, and adds the boxes whose best class reaches the least score. It returns false where a score is not a number.
 */
import type { EngineTensor } from '../../engine/engine.js'
import { halfToNumber } from '../../half.js'
import type { DetectLayout } from '../../model/metadata/detect.js'
import { elementCount } from '../../tensor.js'
import { anchorsOf } from './anchors.js'
import { addCandidate, clearCandidates, type Candidates } from './candidates.js'

/** Reads the outputs of the last run. */
export type Decoder = (into: Candidates) => boolean

/** A decoder; or why the outputs do not fit the layout. */
export type Made = { readonly decode: Decoder } | { readonly reason: string }

export interface DecodeParts {
  readonly layout: DetectLayout
  readonly outputs: readonly EngineTensor[]
  /** The network's input, pixels. */
  readonly input: { readonly width: number; readonly height: number }
}

/** One number of an output. */
type Reader = (index: number) => number
type Corners = (a: number, b: number, c: number, d: number) => readonly [number, number, number, number]

/** Makes the decoder of a layout. */
export function decoderOf(parts: DecodeParts): Made {
  return formats[parts.layout.format](new Ports(parts), parts)
}

const formats: Readonly<Record<DetectLayout['format'], (ports: Ports, parts: DecodeParts) => Made>> = {
  boxes: finished,
  rows,
  yolo: (ports, parts) => places(ports, parts, { hasObjectness: false, isRelative: false }),
  yolo5: (ports, parts) => places(ports, parts, { hasObjectness: true, isRelative: false }),
  yolox: (ports, parts) => places(ports, parts, { hasObjectness: true, isRelative: true }),
  ssd: relative,
}

/** Boxes that the network itself has finished. */
interface FinishedBoxes {
  /** How many there are after the last run. */
  readonly count: () => number
  readonly score: Reader
  /** The class of a box, as the network counts. */
  readonly label: Reader
  /** Number `k` of four of box `i`. */
  readonly at: (i: number, k: number) => number
}

/** Reads finished boxes: nothing is left to do but to number the labels. */
function readFinished(ports: Ports, layout: DetectLayout, { count, score, label, at }: FinishedBoxes): Made {
  const corners = ports.corners()
  return {
    decode(into) {
      const there = count()
      clearCandidates(into, there)
      for (let i = 0; i < there; i++) {
        const certainty = score(i)
        if (Number.isNaN(certainty)) return false
        const index = Math.round(label(i)) - layout.firstClass
        if (!(certainty >= layout.minScore) || !(index >= 0 && index < layout.classCount)) continue
        addCandidate(into, corners(at(i, 0), at(i, 1), at(i, 2), at(i, 3)), certainty, index)
      }
      return true
    },
  }
}

/** Finished boxes, their scores and classes in outputs of their own. */
function finished(ports: Ports, { layout }: DecodeParts): Made {
  const [boxes, scores] = [ports.of(layout.boxes), ports.of(layout.scores)]
  if ('reason' in boxes) return boxes
  if ('reason' in scores) return scores
  const classes = layout.classes === undefined ? null : ports.of(layout.classes)
  if (classes && 'reason' in classes) return classes
  const counts = layout.count === undefined ? null : ports.of(layout.count)
  if (counts && 'reason' in counts) return counts
  if (boxes.length !== 4 * scores.length || (classes && classes.length !== scores.length))
    return { reason: `its outputs hold ${boxes.length} numbers of boxes and ${scores.length} scores` }
  return readFinished(ports, layout, {
    count: () => {
      const there = Math.min(scores.live(), boxes.live() / 4)
      return counts ? Math.min(there, Math.max(0, Math.round(counts.at(0)))) : there
    },
    score: scores.at,
    label: classes ? classes.at : () => layout.firstClass,
    at: (i, k) => boxes.at(4 * i + k),
  })
}

/** Finished boxes in rows of x, y, x, y, score, class. */
function rows(ports: Ports, { layout }: DecodeParts): Made {
  const all = ports.of(layout.boxes)
  if ('reason' in all) return all
  if (all.length % 6 > 0) return { reason: `its output ${layout.boxes} has ${all.length} numbers, not rows of 6` }
  return readFinished(ports, layout, {
    count: () => all.live() / 6,
    score: (i) => all.at(6 * i + 4),
    label: (i) => all.at(6 * i + 5),
    at: (i, k) => all.at(6 * i + k),
  })
}

interface PlaceForm {
  /** The fifth number is the chance of anything at all. */
  readonly hasObjectness: boolean
  /** Centres count in cells of a grid, from their own cell on; sizes are logarithms of cells. */
  readonly isRelative: boolean
}

/** Box and class scores of many places in one output: [1, numbers, places] or [1, places, numbers]. */
function places(ports: Ports, { layout, input }: DecodeParts, { hasObjectness, isRelative }: PlaceForm): Made {
  const all = ports.of(layout.boxes)
  if ('reason' in all) return all
  const first = hasObjectness ? 5 : 4
  const numbers = first + layout.classCount
  const most = all.length / numbers
  if (!Number.isInteger(most) || most === 0)
    return { reason: `its output ${layout.boxes} has ${all.length} numbers, not ${numbers} for each place` }
  const cells = isRelative ? gridOf(layout.anchors, input) : null
  if (cells && cells.length !== 3 * most)
    return { reason: `its output ${layout.boxes} has ${most} places, and its grid ${cells.length / 3} cells` }
  const [step, stride] = all.shape.at(-1) === numbers ? [numbers, 1] : [1, most]
  const corners = ports.corners()
  const pick = classPicker(layout)
  return {
    decode(into) {
      clearCandidates(into, most)
      for (let i = 0; i < most; i++) {
        const at = i * step
        const chance = hasObjectness ? all.at(at + 4 * stride) : 1
        if (chance < layout.minScore) continue
        const best = pick(all.at, at + first * stride, stride)
        const score = pick.score * chance
        if (Number.isNaN(score)) return false
        if (score < layout.minScore) continue
        let [x, y, w, h] = [all.at(at), all.at(at + stride), all.at(at + 2 * stride), all.at(at + 3 * stride)]
        if (cells) {
          const size = cells[3 * i + 2]!
          x = (x + cells[3 * i]!) * size
          y = (y + cells[3 * i + 1]!) * size
          w = Math.exp(w) * size
          h = Math.exp(h) * size
        }
        addCandidate(into, corners(x, y, w, h), score, best)
      }
      return true
    },
  }
}

/** Column, row and size in pixels of each cell of the grids over the input. */
function gridOf(anchors: DetectLayout['anchors'], { width, height }: DecodeParts['input']): Float32Array {
  const strides = typeof anchors === 'object' && 'strides' in anchors ? anchors.strides : []
  const cells = strides.flatMap((stride) => {
    const across = Math.ceil(width / stride)
    const count = across * Math.ceil(height / stride)
    return Array.from({ length: count }, (_, i) => [i % across, Math.floor(i / across), stride]).flat()
  })
  return Float32Array.from(cells)
}

/** Boxes relative to anchors or to nothing, and scores. */
function relative(ports: Ports, { layout, input }: DecodeParts): Made {
  const [boxes, scores] = [ports.of(layout.boxes), ports.of(layout.scores)]
  if ('reason' in boxes) return boxes
  if ('reason' in scores) return scores
  const isWhole = layout.anchors === 'none'
  const anchors =
    layout.anchors === 'none' ? unitAnchors(boxes.shape.at(-2) ?? 0) : anchorsOf(layout.anchors ?? [], input)
  const most = anchors.length / 4
  const classes = layout.classCount + (layout.background === 'none' ? 0 : 1)
  const numbers = boxes.length / most
  if (!Number.isInteger(numbers) || numbers < 4 || scores.length !== most * classes)
    return {
      reason: `it has ${most} anchors, but ${boxes.length} numbers of boxes and ${scores.length} scores of ${classes} classes`,
    }
  const pick = classPicker(layout)
  const corners = isWhole ? ports.corners() : cornersOf(layout.coordinates)
  const [sx, sy, sw, sh] = layout.scales ?? [1, 1, 1, 1]
  const size = layout.exponential ? Math.exp : (value: number) => value
  const isYx = layout.coordinates === 'centre-yx'
  return {
    decode(into) {
      clearCandidates(into, most)
      for (let i = 0; i < most; i++) {
        const label = pick(scores.at, i * classes, 1)
        if (Number.isNaN(pick.score)) return false
        if (pick.score < layout.minScore) continue
        const at = i * numbers
        const [x, y] = isYx ? [1, 0] : [0, 1]
        const [ax, ay, aw, ah] = [anchors[4 * i]!, anchors[4 * i + 1]!, anchors[4 * i + 2]!, anchors[4 * i + 3]!]
        const cx = (boxes.at(at + x) / sx) * aw + ax
        const cy = (boxes.at(at + y) / sy) * ah + ay
        const w = size(boxes.at(at + 2 + x) / sw) * aw
        const h = size(boxes.at(at + 2 + y) / sh) * ah
        addCandidate(into, isYx ? corners(cy, cx, h, w) : corners(cx, cy, w, h), pick.score, label)
      }
      return true
    },
  }
}

/** Anchors that change nothing. */
const unitAnchors = (count: number): Float32Array =>
  Float32Array.from({ length: 4 * count }, (_, i) => (i % 4 < 2 ? 0 : 1))

/** Finds the best class of a place. Its score is left in `score`, since a pair for each place would be garbage. */
interface ClassPicker {
  (at: Reader, start: number, stride: number): number
  score: number
}

function classPicker({ classCount, background, activation }: DetectLayout): ClassPicker {
  const offset = background === 'first' ? 1 : 0
  const all = classCount + (background === 'none' ? 0 : 1)
  const pick = ((at: Reader, start: number, stride: number): number => {
    let best = 0
    let greatest = -Infinity
    let isNumber = true
    for (let c = 0; c < classCount; c++) {
      const value = at(start + (c + offset) * stride)
      if (value > greatest) {
        greatest = value
        best = c
      } else if (Number.isNaN(value)) isNumber = false
    }
    pick.score = isNumber ? greatest : NaN
    if (activation === 'sigmoid') pick.score = 1 / (1 + Math.exp(-pick.score))
    else if (activation === 'softmax' && isNumber) {
      let sum = 0
      for (let c = 0; c < all; c++) sum += Math.exp(at(start + c * stride) - greatest)
      pick.score = 1 / sum
    }
    return best
  }) as ClassPicker
  pick.score = 0
  return pick
}

/** The outputs of an engine by name, as numbers. */
class Ports {
  readonly #parts: DecodeParts

  constructor(parts: DecodeParts) {
    this.#parts = parts
  }

  /** An output; a reason where it is not there, or holds integers whose meaning nothing tells. */
  of(name: string | undefined): Output | { readonly reason: string } {
    const tensor = this.#parts.outputs.find((output) => output.name === name)
    if (!tensor) return { reason: `it has no output ${name}` }
    return outputOf(tensor)
  }

  /** From four numbers of a finished box to its corners in shares of the input. */
  corners(): Corners {
    const { layout, input } = this.#parts
    const corners = cornersOf(layout.coordinates)
    if (layout.unit === 'shares') return corners
    const [width, height] = [input.width, input.height]
    return (a, b, c, d) => {
      const [left, top, right, bottom] = corners(a, b, c, d)
      return [left / width, top / height, right / width, bottom / height]
    }
  }
}

interface Output {
  readonly shape: readonly number[]
  readonly length: number
  readonly at: Reader
  /** The number of elements of the last run. */
  readonly live: () => number
}

function outputOf(tensor: EngineTensor): Output {
  const { data, type, code, shape } = tensor
  const length = elementCount(tensor.shape)
  const { live: extent } = tensor
  const live = extent ? (): number => extent[0]! : (): number => length
  if (code) return { shape, length, live, at: (i) => code.scale * (Number(data[i]) - code.zeroPoint) }
  if (type === 'float16') return { shape, length, live, at: (i) => halfToNumber(Number(data[i])) }
  if (data instanceof Float32Array) return { shape, length, live, at: (i) => data[i]! }
  return { shape, length, live, at: (i) => Number(data[i]) }
}

const orders: Readonly<Record<DetectLayout['coordinates'], Corners>> = {
  corners: (a, b, c, d) => [a, b, c, d],
  'corners-yx': (a, b, c, d) => [b, a, d, c],
  centre: (x, y, w, h) => [x - w / 2, y - h / 2, x + w / 2, y + h / 2],
  'centre-yx': (y, x, h, w) => [x - w / 2, y - h / 2, x + w / 2, y + h / 2],
  'corner-size': (x, y, w, h) => [x, y, x + w, y + h],
}
const cornersOf = (coordinates: DetectLayout['coordinates']): Corners => orders[coordinates]
