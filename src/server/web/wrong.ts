/** "This is wrong": the picture goes to the review, with the label that a person gives it, and is taught at once on demand. */
import type { Report } from '../messages.js'
import type { TeachStatus } from '../teach-messages.js'
import { getJson, send } from './api.js'
import { askNote } from './dialogs.js'
import { text } from './text.js'

/** The picture that a person saw; `seq` 0: the next one. */
export interface WrongPicture {
  readonly camera: string
  /** Id of the zone that is wrong; null: the whole picture is judged. */
  readonly zone: string | null
  /** What the node says of it, in words. */
  readonly said: string
  readonly seq: number
}

/** Asks what it really is and sends that. Resolves with what has happened; null: it was cancelled. */
export async function sayWrong({ camera, zone, said: was, seq }: WrongPicture): Promise<string | null> {
  const teachPath = `/api/teach/${encodeURIComponent(zone === null ? camera : `${camera}/${zone}`)}`
  const { states } = await getJson<Pick<TeachStatus, 'states'>>(teachPath).catch(() => ({ states: [] }))
  const said = await askNote(
    was,
    states.map(({ state }) => state),
  )
  if (said === null) return null
  const label = labelOf(said.note)
  const body = { seq, note: said.note, ...(label === null ? {} : { label }), ...(zone === null ? {} : { zone }) }
  const { isExact, reviewed } = await send<Report & { readonly reviewed: string }>(
    'POST',
    `/api/cameras/${camera}/reports`,
    body,
  )
  if (!said.isTaught || label === null) return isExact ? text.wrong.kept : text.wrong.keptNext
  await send('POST', `${teachPath}/reviewed`, { pictures: [reviewed] })
  return text.wrong.taught(label)
}

/** A note as a label in the review: it becomes the name of a folder. Null where it cannot be one. */
function labelOf(note: string): string | null {
  const label = note.trim()
  return label !== '' && label.length <= 60 && !/[\\/]|^\.|^unknown$/.test(label) ? label : null
}
