/** What every task gives for the outputs of an engine. */
import type { RawOutputs } from '../decision/prediction.js'
import type { Found } from '../decision/task.js'
import type { EngineTensor } from '../engine/engine.js'
import type { Frame } from '../frame.js'
import type { LabelMask } from '../pixels/mask.js'
import type { PreprocessSpec } from '../pixels/spec.js'

/** How the outputs of one engine are read. Both calls are about its last run; the memory of `scores` is reused. */
export interface TaskAnswer {
  /** Number of scores: that of the labels. */
  readonly count: number
  /** The output that stands for all of them in reports. */
  readonly output: EngineTensor
  /** One score for each label, 0 to 1. Call it once after each run, before `found`. */
  readonly scores: () => RawOutputs
  /** What was found, in the coordinates of the frame. `labels` are the classifier's, `spec` is the view's. */
  readonly found: (frame: Pick<Frame, 'width' | 'height'>, spec: PreprocessSpec, labels: readonly string[]) => Found
  /** The map of labels of the last run, which the caller owns; null where the task has none. Call it after `scores`. */
  readonly mask: (() => LabelMask) | null
}
