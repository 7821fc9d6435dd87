/**
 * What a detector answers: the score of a label is that of its best box, and `none` is 1 where there is no box. The boxes
 * come mapped to the frame through the view's crop, letterbox and turn.
 */
import type { Box, Found } from '../../decision/task.js'
import type { Engine } from '../../engine/engine.js'
import type { DetectLayout } from '../../model/metadata/detect.js'
import { viewOf } from '../../pixels/geometry.js'
import type { TaskAnswer } from '../task-answer.js'
import { makeCandidates } from './candidates.js'
import { decoderOf } from './decode.js'
import { createSuppressor } from './suppress.js'

/** The answer of a layout; a reason where the engine's outputs do not fit it. */
export function detectAnswer(
  layout: DetectLayout,
  { outputs }: Pick<Engine, 'outputs'>,
  input: { readonly width: number; readonly height: number },
): TaskAnswer | { readonly reason: string } {
  const made = decoderOf({ layout, outputs, input })
  if ('reason' in made) return made
  const { classCount } = layout
  const candidates = makeCandidates(64)
  const suppress = createSuppressor(layout)
  const scores = new Float32Array(classCount + 1)
  let kept: ArrayLike<number> = []
  const isInside = (i: number): boolean => {
    const { left, top, right, bottom } = candidates
    return left[i]! < 1 && top[i]! < 1 && right[i]! > 0 && bottom[i]! > 0
  }
  return {
    count: classCount + 1,
    output: outputs.find(({ name }) => name === (layout.scores ?? layout.boxes))!,
    scores() {
      kept = []
      if (!made.decode(candidates)) return scores.fill(NaN)
      kept = Array.from(suppress(candidates)).filter(isInside)
      scores.fill(0)
      for (let k = 0; k < kept.length; k++) {
        const label = candidates.label[kept[k]!]!
        scores[label] = Math.max(scores[label]!, candidates.score[kept[k]!]!)
      }
      scores[classCount] = kept.length === 0 ? 1 : 0
      return scores
    },
    found(frame, spec, labels): Found {
      const view = viewOf(spec, frame.width, frame.height)
      const boxes: Box[] = []
      for (let k = 0; k < kept.length; k++) {
        const i = kept[k]!
        const [x, y] = [candidates.left[i]!, candidates.top[i]!]
        const region = view.toFrame({ x, y, width: candidates.right[i]! - x, height: candidates.bottom[i]! - y })
        const index = candidates.label[i]!
        if (region) boxes.push({ ...region, index, label: labels[index]!, score: candidates.score[i]! })
      }
      return { task: 'detect', boxes }
    },
    mask: null,
  }
}
