/** The models of zones as they are opened, each checked against what its zone asks of it. */
import type { Classifier } from '../classifier.js'
import { nearestOf } from '../config/nearest.js'
import type { DwellOptions } from '../decision/dwell.js'
import { messageOf } from '../errors.js'
import type { ZoneDefinition } from '../zone/definition.js'
import type { ModelLease, Models } from './models.js'

/** A zone's model, or why it cannot be used. */
export type PreparedZone = ModelLease | { readonly fault: string }

/** Opens the models of zones, one after the other. Never rejects: a fault belongs to its zone. */
export async function prepareZones(
  models: Models,
  definitions: readonly ZoneDefinition[],
): Promise<Map<string, PreparedZone>> {
  const prepared = new Map<string, PreparedZone>()
  for (const definition of definitions) prepared.set(definition.key, await preparedFor(models, definition))
  return prepared
}

/** Opens the model of one zone. Never rejects. */
export async function preparedFor(models: Models, { model, task, dwell }: ZoneDefinition): Promise<PreparedZone> {
  try {
    const lease = await models.lease(model, task)
    const fault = taskFault(task, lease.classifier) ?? labelFault(dwell, lease.classifier.labels)
    if (fault === null) return lease
    await lease.release()
    return { fault }
  } catch (error) {
    return { fault: messageOf(error) }
  }
}

/** Why a model is not asked what its zone wants. */
function taskFault(task: ZoneDefinition['task'], { task: own, taskSentence }: Classifier): string | null {
  if (task === undefined || task === own) return null
  return `task: its model does not ${task} but ${own} (${taskSentence}); name another model`
}

/** A label of dwell times or transitions that the model does not have, with the nearest that it has. */
export function labelFault({ dwellMs, transitions }: DwellOptions, labels: readonly string[]): string | null {
  const known = new Set(labels)
  for (const [key, named] of [
    ['dwell', Object.keys(dwellMs)],
    ['transitions', [...Object.keys(transitions), ...Object.values(transitions).flat()]],
  ] as const) {
    const wrong = named.find((label) => !known.has(label))
    if (wrong === undefined) continue
    const nearest = nearestOf(wrong, labels)
    return `${key}: its model has no label ${wrong}${nearest === null ? '' : `; did you mean ${nearest}?`}`
  }
  return null
}
