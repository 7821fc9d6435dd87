/**
 * From an engine's outputs to what a task answers: one number for each label, and what the task finds besides. A further
 * task is a folder beside `detect` and a case of `answerOf`; everything behind a prediction takes its scores as they are.
 */
import type { RawOutputs } from '../decision/prediction.js'
import { nothingLabel, type Found } from '../decision/task.js'
import type { Engine, EngineTensor } from '../engine/engine.js'
import type { Frame } from '../frame.js'
import { outputsOf } from '../model/metadata/detect.js'
import type { TaskFacts } from '../model/metadata/task.js'
import type { LabelMask } from '../pixels/mask.js'
import type { PreprocessSpec } from '../pixels/spec.js'
import { detectAnswer } from './detect/answer.js'
import { segmentAnswer } from './segment/answer.js'

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

/** A task whose outputs are more than one row of scores. */
export type OtherTask = Exclude<TaskFacts, { readonly task: 'classify' | 'video' }>

/** Whether the outputs of a task are more than one row of scores. */
export function isOther(facts: TaskFacts): facts is OtherTask {
  return facts.task !== 'classify' && facts.task !== 'video'
}

/** The values that an engine must be opened with. */
export function outputsOfTask(facts: OtherTask): readonly string[] {
  return facts.task === 'segment' ? [facts.layout.output] : outputsOf(facts.layout)
}

/** The answer of an engine that was opened with `outputsOfTask`; a reason where its outputs have other shapes. */
export function answerOf(
  facts: OtherTask,
  engine: Pick<Engine, 'outputs'>,
  input: { readonly width: number; readonly height: number },
): TaskAnswer | { readonly reason: string } {
  return facts.task === 'segment' ? segmentAnswer(facts.layout, engine) : detectAnswer(facts.layout, engine, input)
}

/** How the labels of a model become those of the scores: most have one more, for nothing at all. */
export function labelsOfTask({ task, layout }: OtherTask, labels: readonly string[]): readonly string[] {
  if (task === 'detect') return [...labels, nothingLabel]
  // The list of a single class may begin with a name for the rest.
  return layout.classCount === 1 ? [labels.at(-1)!, labels.length === 2 ? labels[0]! : nothingLabel] : labels
}
