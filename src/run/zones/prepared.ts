/** The models of zones as they are opened, each checked against what its zone asks of it. */
import type { Classifier } from '../../classifier.js'
import { detectByMaps } from '../../classifier/maps.js'
import { nearestOf } from '../../config/nearest.js'
import type { DwellOptions } from '../../decision/dwell.js'
import { messageOf } from '../../errors.js'
import type { ZoneDefinition } from '../../zone/definition.js'
import type { ModelLease, Models } from './models.js'

/** A zone's model, or why it cannot be used. */
export type PreparedZone = PreparedLease | { readonly fault: string }

/** The lease of a zone's model, and of its second one; `release` is of both. */
export interface PreparedLease extends ModelLease {
  /** Says which one each thing is. */
  readonly second?: Classifier | undefined
}

/** Opens the models of zones, one after the other. Never rejects: a fault belongs to its zone. */
export async function prepareZones(
  models: Models,
  definitions: readonly ZoneDefinition[],
): Promise<Map<string, PreparedZone>> {
  const prepared = new Map<string, PreparedZone>()
  for (const definition of definitions) prepared.set(definition.key, await preparedFor(models, definition))
  return prepared
}

/** Opens the models of one zone. Never rejects. */
export async function preparedFor(models: Models, definition: ZoneDefinition): Promise<PreparedZone> {
  const { model, task, clip, detect, embedding, dwell, second: asked } = definition
  const leases: ModelLease[] = []
  const release = async (): Promise<void> => {
    for (const lease of leases) await lease.release()
  }
  try {
    const first = await models.lease(model, { task: detect === undefined ? task : 'classify', clip, embedding })
    leases.push(first)
    const classifier = detect === undefined ? first.classifier : detectByMaps(first.classifier)
    const fault =
      taskFault(task, classifier) ??
      clipFault(definition, classifier) ??
      secondFault(asked, classifier) ??
      embeddingFault(embedding, classifier) ??
      labelFault(dwell, classifier.labels)
    if (fault !== null) {
      await release()
      return { fault }
    }
    if (asked === undefined) return { classifier, release }
    const second = await models.lease(asked.model, { task: 'classify' })
    leases.push(second)
    return { classifier, second: second.classifier, release }
  } catch (error) {
    await release()
    return { fault: messageOf(error) }
  }
}

/** Why a second model has nothing to look at. */
function secondFault(asked: ZoneDefinition['second'], { task, taskSentence }: Classifier): string | null {
  if (asked === undefined || task === 'detect') return null
  return `then: its model finds no things that ${asked.model} could look at (${taskSentence}); name a detector as its model`
}

/** Why there is no embedding where one is wanted. */
function embeddingFault(isWanted: boolean, { embedding }: Classifier): string | null {
  return isWanted && 'reason' in embedding ? `embedding: its model has none: ${embedding.reason}` : null
}

/** Why a model is not asked what its zone wants. */
function taskFault(task: ZoneDefinition['task'], { task: own, taskSentence }: Classifier): string | null {
  if (task === undefined || task === own) return null
  return `task: ${task} was asked for, and its model has the task ${own} (${taskSentence}); name another model`
}

/** Why a zone cannot look at clips. */
function clipFault({ clip, trigger }: ZoneDefinition, { task, taskSentence }: Classifier): string | null {
  if (task !== 'video')
    return clip === undefined
      ? null
      : `video: its model looks at single pictures (${taskSentence}); write task: video, or leave video out`
  if (trigger.kind === 'always') return null
  return `trigger: a zone that looks at clips (${taskSentence}) needs all of their frames; leave its trigger out`
}

/** The labels that dwell times and transitions name, by key. */
function namedIn({
  dwellMs,
  transitions,
}: DwellOptions): readonly (readonly [key: string, labels: readonly string[]])[] {
  return [
    ['dwell', Object.keys(dwellMs)],
    ['transitions', [...Object.keys(transitions), ...Object.values(transitions).flat()]],
  ]
}

/** Whether dwell times or transitions name a label. */
export function isNamed(rules: DwellOptions, label: string): boolean {
  return namedIn(rules).some(([, labels]) => labels.includes(label))
}

/** A label of dwell times or transitions that the model does not have, with the nearest that it has. */
export function labelFault(rules: DwellOptions, labels: readonly string[]): string | null {
  const known = new Set(labels)
  for (const [key, named] of namedIn(rules)) {
    const wrong = named.find((label) => !known.has(label))
    if (wrong === undefined) continue
    const nearest = nearestOf(wrong, labels)
    return `${key}: its model has no label ${wrong}${nearest === null ? '' : `; did you mean ${nearest}?`}`
  }
  return null
}
