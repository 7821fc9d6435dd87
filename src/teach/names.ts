/** Names of taught heads and of their states, and which heads a state directory has. */
import { createHash } from 'node:crypto'
import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { unknownLabel } from '../decision/decision.js'

/** Words of `gapcam teach`, and the label of what is none of the states. */
export const reservedNames = [
  ...['fit', 'test', 'list', 'undo', 'export', 'import', 'remove', 'novelty'],
  unknownLabel,
] as const

const mostLetters = 64

/** Why a text cannot be the name of a head; null where it can. */
export function nameFault(name: string): string | null {
  if (!/^[A-Za-z0-9_-]{1,64}$/.test(name)) return `a name has up to ${mostLetters} letters, digits, - and _`
  return (reservedNames as readonly string[]).includes(name) ? `reserved are ${reservedNames.join(', ')}` : null
}

/** Why a text cannot be a state; null where it can. A state is a label, never a part of a path. */
export function stateFault(state: string): string | null {
  const isControl = [...state].some((character) => character.charCodeAt(0) < 32)
  if (
    state !== '' &&
    state.trim() === state &&
    [...state].length <= mostLetters &&
    !isControl &&
    state !== unknownLabel
  )
    return null
  return `a state has 1 to ${mostLetters} characters, none of them a control character, no space at its ends, and is not ${unknownLabel}`
}

/** The folder of pictures that show none of the states. No state is called so: a name like this one is encoded. */
export const noneFolder = '%none'

/** The name of a state's folder in an export: the state itself where it can be one. */
export function folderOf(state: string | null): string {
  if (state === null) return noneFolder
  return /^[^./\\%][^/\\%]*$/.test(state) ? state : encodeURIComponent(state).replace(/^\./, '%2E')
}

/** The state of a folder; null: none of the states. */
export function stateOfFolder(folder: string): string | null {
  if (folder === noneFolder) return null
  try {
    return decodeURIComponent(folder)
  } catch {
    return folder
  }
}

/** The name of the head of a zone that has none yet: `porch/gate` becomes `porch_gate`. Ids of zones have no `_`. */
export function headNameOf(zone: string): string {
  const name = zone.replace('/', '_')
  if (nameFault(name) === null) return name
  return `${name.slice(0, 50)}_${createHash('sha256').update(zone).digest('hex').slice(0, 12)}`
}

/** The folder of all heads in a state directory. */
export const headsFolder = (stateFolder: string): string => join(stateFolder, 'taught')

/** The folder of one head. */
export const headFolder = (stateFolder: string, name: string): string => join(headsFolder(stateFolder), name)

/** What a head's folder holds: its record and the files of heads. */
export const recordFile = 'record.json'

/** Names of the heads in a state directory, in order. Without a folder there are none. */
export async function headsIn(stateFolder: string): Promise<readonly string[]> {
  const entries = await readdir(headsFolder(stateFolder), { withFileTypes: true }).catch(() => [])
  const found: string[] = []
  for (const { name } of entries.filter((entry) => entry.isDirectory() && nameFault(entry.name) === null))
    if (await isFile(join(headFolder(stateFolder, name), recordFile))) found.push(name)
  return found.sort()
}

const isFile = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  )
