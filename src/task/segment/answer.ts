/**
 * What a segmenter answers: the score of a label is its share of the picture, so the scores of all labels have the sum 1.
 * Of a single class, `none` has the rest.
 */
import type { Found } from '../../decision/task.js'
import type { Engine, EngineTensor } from '../../engine/engine.js'
import { halfToNumber } from '../../half.js'
import type { SegmentLayout } from '../../model/metadata/segment.js'
import type { LabelMask } from '../../pixels/mask.js'
import { elementCount } from '../../tensor.js'
import type { TaskAnswer } from '../task-answer.js'

/** One number of the output; of bytes, the stored one: the greatest stored number is the greatest real one. */
type Reader = (index: number) => number

/** The answer of a layout; a reason where the engine's output does not fit it. */
export function segmentAnswer(
  layout: SegmentLayout,
  { outputs }: Pick<Engine, 'outputs'>,
): TaskAnswer | { readonly reason: string } {
  const output = outputs.find(({ name }) => name === layout.output)
  if (!output) return { reason: `it has no output ${layout.output}` }
  const { classCount, format } = layout
  const length = elementCount(output.shape)
  const places = format === 'numbers' ? length : length / classCount
  if (!Number.isInteger(places) || places === 0)
    return { reason: `its output ${layout.output} has ${length} numbers, not those of ${classCount} classes a place` }
  const sides = sidesOf(output, layout)
  const placed = new Uint16Array(places)
  const counts = new Float64Array(classCount === 1 ? 2 : classCount)
  const scores = new Float32Array(counts.length)
  const place = placerOf(output, layout)
  return {
    count: counts.length,
    output,
    scores() {
      if (!place(placed)) return scores.fill(NaN)
      counts.fill(0)
      for (const label of placed) counts[label]!++
      for (let i = 0; i < counts.length; i++) scores[i] = counts[i]! / places
      return scores
    },
    found(_frame, _spec, labels): Found {
      return { task: 'segment', shares: labels.map((label, i) => ({ label, share: scores[i]! })) }
    },
    mask: () => ({ ...sides, labels: placed.slice(), nothing: classCount === 1 ? 1 : null }),
  }
}

/** Height and width of the map. */
function sidesOf({ shape, inFileOrder }: EngineTensor, { format }: SegmentLayout): Pick<LabelMask, 'width' | 'height'> {
  const first = format === 'nchw' && inFileOrder ? 2 : 1
  return { height: shape[first]!, width: shape[first + 1]! }
}

/** Finds the class of each place in the last run; false where a score is not a number or a class does not exist. */
function placerOf(output: EngineTensor, layout: SegmentLayout): (labels: Uint16Array) => boolean {
  const at = readerOf(output)
  const { classCount, format, minScore, activation } = layout
  if (format === 'numbers')
    return (labels) => {
      for (let i = 0; i < labels.length; i++) {
        const label = at(i)
        if (!(label >= 0 && label < classCount)) return false
        labels[i] = label
      }
      return true
    }
  if (classCount === 1) {
    const { code } = output
    const real = activation === 'none' ? minScore : Math.log(minScore / (1 - minScore))
    const least = code ? real / code.scale + code.zeroPoint : real
    return (labels) => {
      for (let i = 0; i < labels.length; i++) {
        const value = at(i)
        if (Number.isNaN(value)) return false
        labels[i] = value >= least ? 0 : 1
      }
      return true
    }
  }
  // An output that is not in the file's order has the channels last.
  const isPlanar = format === 'nchw' && output.inFileOrder
  return (labels) => {
    const [byClass, byPlace] = isPlanar ? [labels.length, 1] : [1, classCount]
    for (let i = 0; i < labels.length; i++) {
      let best = 0
      let greatest = -Infinity
      for (let c = 0; c < classCount; c++) {
        const value = at(i * byPlace + c * byClass)
        if (value > greatest) {
          greatest = value
          best = c
        } else if (Number.isNaN(value)) return false
      }
      labels[i] = best
    }
    return true
  }
}

function readerOf({ data, type }: EngineTensor): Reader {
  if (data instanceof Float32Array) return (i) => data[i]!
  if (type === 'float16') return (i) => halfToNumber(Number(data[i]))
  return (i) => Number(data[i])
}
