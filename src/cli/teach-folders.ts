/** Folders of pictures as the command line gives them: `--state LABEL=DIR`, with the mistakes that nothing later would find. */
import { createHash } from 'node:crypto'
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileFaultOf, GapcamError, writeFaultOf } from '../errors.js'
import { makeFolder } from '../folder.js'
import { stateFault, stateOfFolder } from '../teach/names.js'
import { mostOfState, thinned } from '../teach/record.js'
import { shownIn } from './clip-files.js'

/** Pictures and clips by state. */
export type StateFiles = ReadonlyMap<string, readonly string[]>

/** The pictures of each state. Rejects with USAGE for states that cannot be taught. */
export async function statesOf(given: readonly string[]): Promise<StateFiles> {
  const states = new Map<string, string[]>()
  for (const text of given) {
    const at = text.indexOf('=')
    const label = text.slice(0, Math.max(at, 0)).trim()
    checkLabel(text, label)
    states.set(label, [...(states.get(label) ?? []), ...(await picturesOf(text.slice(at + 1)))])
  }
  checkSeveral(states, 'Give --state at least twice, with pictures of each state.')
  await checkDuplicates(states)
  return enough(states)
}

function checkSeveral(states: StateFiles, hint: string): void {
  if (states.size > 1) return
  const [only] = states.keys()
  const fault = only === undefined ? 'no state was given' : `one state cannot be told from anything: ${only}`
  throw new GapcamError('USAGE', fault, { hint })
}

/** What an export has: a folder for each state, and one for pictures that show none of them. */
export async function exportedIn(folder: string): Promise<{ readonly states: StateFiles; readonly none: string[] }> {
  const entries = await readdir(folder, { withFileTypes: true }).catch((error: unknown) => {
    throw new GapcamError('PICTURE_INVALID', `${folder}: ${fileFaultOf(error)}`)
  })
  const states = new Map<string, readonly string[]>()
  const none: string[] = []
  for (const { name } of entries.filter((entry) => entry.isDirectory()).sort((a, b) => (a.name < b.name ? -1 : 1))) {
    const label = stateOfFolder(name)
    const files = await shownIn(join(folder, name))
    if (label === null) none.push(...files)
    else if (files.length > 0) {
      checkLabel(name, label)
      states.set(label, files)
    }
  }
  checkSeveral(states, `${folder} needs a folder of pictures for each state, two or more.`)
  await checkDuplicates(states)
  return { states: enough(states), none }
}

/** Pictures of a folder, or the clips in it; at least one. */
export async function picturesOf(folder: string): Promise<readonly string[]> {
  const files = await shownIn(folder).catch((error: unknown) => {
    throw new GapcamError('PICTURE_INVALID', `${folder}: ${fileFaultOf(error)}`)
  })
  if (files.length === 0)
    throw new GapcamError('PICTURE_INVALID', `${folder}: there are no pictures and no clips`, {
      hint: 'Put at least one into it, better five. gapcam reads JPEG, PNG, WebP, GIF, TIFF, AVIF and BMP.',
    })
  return files
}

function checkLabel(text: string, label: string): void {
  const fault = stateFault(label)
  if (fault !== null)
    throw new GapcamError('USAGE', `--state: expected LABEL=DIR but received ${JSON.stringify(text)}`, {
      hint: `${fault[0]!.toUpperCase()}${fault.slice(1)}.`,
    })
}

/** The same picture under two states is a mistake that nothing later would find. */
async function checkDuplicates(states: StateFiles): Promise<void> {
  const known = new Map<string, { readonly label: string; readonly file: string }>()
  for (const [label, files] of states)
    for (const file of files) {
      const bytes = await readFile(file).catch(() => null) // teaching tells of it
      if (!bytes) continue
      const digest = createHash('sha256').update(bytes).digest('hex')
      const other = known.get(digest)
      if (other && other.label !== label)
        throw new GapcamError('USAGE', `${file} and ${other.file} are the same picture under two states`, {
          hint: 'Remove it from one of the folders.',
        })
      known.set(digest, { label, file })
    }
}

/** Writes a model, and its folder. Rejects with USAGE. */
export async function writeOutput(output: string, bytes: Uint8Array): Promise<void> {
  try {
    await makeFolder(join(output, '..'))
    await writeFile(output, bytes)
  } catch (error) {
    throw new GapcamError('USAGE', `${output} cannot be written: ${writeFaultOf(error)}`)
  }
}

/** More pictures of a state make fitting slow and hardly better; they are taken evenly from the folder. */
function enough(states: StateFiles): StateFiles {
  const most = mostOfState(states.size)
  return new Map(
    [...states].map(([label, files]) => {
      if (files.length > most)
        process.stderr.write(`state ${label}: ${most} of its ${files.length} pictures are used, evenly spread\n`)
      return [label, thinned(files, most)]
    }),
  )
}
