/**
 * What a backup takes from a state directory, and how a state directory is made from one: beside its place, whole, and then by
 * one rename, so that a fault or a power cut leaves the directory as it was.
 */
import { randomUUID } from 'node:crypto'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { systemClock } from '../clock.js'
import { fileFaultOf, GapcamError, writeFaultOf } from '../errors.js'
import { makeFolder } from '../folder.js'
import { realFiles } from '../publish/outbox/files.js'
import { ask, holderOf } from '../publish/outbox/lock.js'
import { openLog } from '../publish/outbox/log.js'
import { peek } from '../publish/outbox/peek.js'
import { filesOf, tarOf, type BackupFiles } from './file.js'
import { open, seal } from './seal.js'

const settingsFile = 'settings.json'
const headsFolder = 'taught'
const galleriesFolder = 'galleries'
/** The encrypted tar of all galleries. */
const sealedFile = 'galleries.sealed'

/** The state of a node as files. `passphrase`: galleries too, encrypted. Rejects with BACKUP_INVALID for a file that cannot be read. */
export async function stateFiles(stateFolder: string, passphrase: string | null): Promise<BackupFiles> {
  const files = new Map<string, Uint8Array>()
  const settings = await contentOf(join(stateFolder, settingsFile))
  if (settings) files.set(settingsFile, settings)
  await addFolder(files, stateFolder, headsFolder)
  if (passphrase === null) return files
  const galleries = new Map<string, Uint8Array>()
  await addFolder(galleries, stateFolder, galleriesFolder)
  if (galleries.size > 0) files.set(sealedFile, seal(await tarOf(galleries), passphrase))
  return files
}

async function addFolder(files: Map<string, Uint8Array>, root: string, path: string): Promise<void> {
  const entries = await readdir(join(root, path), { withFileTypes: true }).catch(() => [])
  for (const entry of entries.toSorted((a, b) => (a.name < b.name ? -1 : 1))) {
    const name = `${path}/${entry.name}`
    if (entry.isDirectory()) await addFolder(files, root, name)
    // Files that are being written have other names; they are not part of the state yet.
    else if (entry.isFile() && !entry.name.endsWith('.new')) {
      const bytes = await contentOf(join(root, name))
      if (bytes) files.set(name, bytes)
    }
  }
}

/** Null: it is not there, or not any more. */
async function contentOf(file: string): Promise<Uint8Array | null> {
  try {
    return await readFile(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw new GapcamError('BACKUP_INVALID', `${file}: ${fileFaultOf(error)}`)
  }
}

/** The number of the last event of a node, also of one that runs; null where it keeps none on disk. */
export async function lastEventIn(stateFolder: string): Promise<number | null> {
  const folder = join(stateFolder, 'outbox')
  await ask(folder, { command: 'save' }, () => undefined)
  return (await peek(folder))?.seq ?? null
}

/** Whether a backup holds galleries. */
export const hasGalleries = (files: BackupFiles): boolean => files.has(sealedFile)

/** The files of a state directory in a backup. Null as the passphrase leaves the galleries out. Rejects with BACKUP_INVALID. */
export async function restoredFiles(files: BackupFiles, passphrase: string | null): Promise<BackupFiles> {
  const state = new Map([...files].filter(([path]) => path === settingsFile || path.startsWith(`${headsFolder}/`)))
  const sealed = files.get(sealedFile)
  if (!sealed || passphrase === null) return state
  const galleries = await filesOf(open(sealed, passphrase), 'the galleries')
  for (const [path, bytes] of galleries) if (path.startsWith(`${galleriesFolder}/`)) state.set(path, bytes)
  return state
}

/** What is put into a state directory. */
export interface Restoring {
  readonly files: BackupFiles
  /** Events are numbered from the next one on; null: from 1. */
  readonly lastEvent: number | null
  /** A state that is there is renamed to `NAME.before-restore`; without it, it is refused. */
  readonly replaces: boolean
}

/** Makes the state directory. Rejects with BACKUP_REFUSED where one is there or in use, and with BACKUP_NOT_KEPT. */
export async function restoreState(stateFolder: string, { files, lastEvent, replaces }: Restoring): Promise<void> {
  await requireFree(stateFolder, replaces)
  const fresh = `${stateFolder}.restoring-${process.pid}`
  try {
    await makeFolder(fresh, 0o700)
    for (const [path, bytes] of files) {
      await mkdir(dirname(join(fresh, path)), { recursive: true, mode: 0o700 })
      await writeFile(join(fresh, path), bytes, { mode: 0o600, flush: true })
    }
    if (lastEvent !== null) await beginOutbox(join(fresh, 'outbox'), lastEvent)
    if (replaces) {
      await rm(`${stateFolder}.before-restore`, { recursive: true, force: true })
      await rename(stateFolder, `${stateFolder}.before-restore`).catch(ignoreMissing)
    }
    await rename(fresh, stateFolder)
  } catch (error) {
    if (error instanceof GapcamError) throw error
    throw new GapcamError('BACKUP_NOT_KEPT', `${stateFolder} cannot be written: ${writeFaultOf(error)}`, {
      cause: error,
    })
  } finally {
    await rm(fresh, { recursive: true, force: true }).catch(() => undefined)
  }
}

function ignoreMissing(error: NodeJS.ErrnoException): void {
  if (error.code !== 'ENOENT') throw error
}

async function requireFree(stateFolder: string, replaces: boolean): Promise<void> {
  const holder = await holderOf(join(stateFolder, 'outbox')).catch(() => null)
  if (holder)
    throw new GapcamError('BACKUP_REFUSED', `${stateFolder} is in use by the process ${holder.pid}`, {
      hint: 'Stop gapcam on this board first.',
    })
  const found = await readdir(stateFolder).catch(() => [])
  if (found.length > 0 && !replaces)
    throw new GapcamError('BACKUP_REFUSED', `there is a state in ${stateFolder} already`, {
      hint: 'gapcam restore --replace puts it aside, as NAME.before-restore.',
    })
}

/** An empty outbox in which all numbers up to `last` are done. */
async function beginOutbox(folder: string, last: number): Promise<void> {
  const writeTime = { boot: randomUUID(), monoMs: systemClock.now(), wallMs: systemClock.wall(), isClockSynced: false }
  const log = await openLog({
    folder,
    files: realFiles,
    maxBytes: 2 ** 20,
    maxAgeMs: Infinity,
    writeTime: () => writeTime,
  })
  try {
    if (last > 0) log.ledger.done.add(1, last)
    await log.append([], last)
  } finally {
    await log.close()
  }
}
