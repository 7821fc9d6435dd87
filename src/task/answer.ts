/**
 * From an engine's outputs to what a task answers: one number for each label, and what the task finds besides. A further
 * task is a folder beside `detect` and a case of `answerOf`; everything behind a prediction takes its scores as they are.
 */
import { nothingLabel } from '../decision/task.js'
import type { Engine } from '../engine/engine.js'
import { outputsOf } from '../model/metadata/detect.js'
import type { TaskFacts } from '../model/metadata/task-facts.js'
import { detectAnswer } from './detect/answer.js'
import { segmentAnswer } from './segment/answer.js'
import type { TaskAnswer } from './task-answer.js'

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
