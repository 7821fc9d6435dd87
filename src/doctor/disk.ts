/** Checks the state directory: free space, whether it can be written, and how much the outbox holds. */
import { mkdir, open, readdir, rm, stat, statfs } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileFaultOf, writeFaultOf } from '../errors.js'
import { checksOf, type Check, type Examination } from './check.js'

const { ok, warn, fail } = checksOf('disk')
/** gapcam itself needs little. Below this the next log rotation or update may fill the disk. */
const leastFree = 64e6
const trialBytes = 256 << 10
/** A write that takes longer points to a worn card. */
const slowWriteMs = 2000

/** The checks of the area `disk`. */
export const examineDisk: Examination = async ({ stateFolder }) => {
  const place = await existing(stateFolder)
  return [await room(place, stateFolder), await writable(place, stateFolder), await outbox(stateFolder)]
}

/** The folder, or the nearest folder above it that exists. */
async function existing(folder: string): Promise<string> {
  return (await stat(folder).then(
    () => true,
    () => false,
  ))
    ? folder
    : dirname(folder) === folder
      ? folder
      : existing(dirname(folder))
}

async function room(place: string, stateFolder: string): Promise<Check> {
  try {
    const { bsize, bavail, blocks, ffree, files } = await statfs(place)
    const free = bsize * bavail
    const evidence = `${megabytes(free)} of ${megabytes(bsize * blocks)} free for ${stateFolder}`
    const fix = `Free some space on that file system (df -h ${place}), or set stateDir to another one.`
    if (free < trialBytes * 4) return fail('space', `the disk is full: ${evidence}`, fix)
    if (files > 0 && ffree < 100)
      return fail(
        'space',
        `the file system has no inodes left (df -i ${place})`,
        'Delete small files that are no longer needed.',
      )
    return free < leastFree ? warn('space', evidence, fix) : ok('space', evidence)
  } catch (error) {
    return fail('space', fileFaultOf(error), 'Set stateDir to a folder that exists or can be created.')
  }
}

/** Writes a file through to the disk, as the outbox does. */
async function writable(place: string, stateFolder: string): Promise<Check> {
  const isOurs = place === stateFolder
  const trial = join(place, `.gapcam-doctor-${process.pid}`)
  const start = performance.now()
  try {
    if (!isOurs) {
      await mkdir(trial)
      await rm(trial, { recursive: true })
      return ok('write', `${stateFolder} does not exist yet and can be created`)
    }
    const file = await open(trial, 'wx')
    try {
      await file.write(Buffer.alloc(trialBytes))
      await file.sync()
    } finally {
      await file.close()
      await rm(trial, { force: true })
    }
    const ms = Math.round(performance.now() - start)
    const evidence = `${trialBytes >> 10} KiB written through to the disk in ${ms} ms`
    return ms > slowWriteMs
      ? warn('write', evidence, 'The card is slow or worn out; replace it, or set stateDir to another disk.')
      : ok('write', evidence)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const fixes: Readonly<Record<string, string>> = {
      ENOSPC: 'Free some space, or set stateDir to another disk.',
      EROFS:
        'The file system is read-only, often after a disk error. Look into the kernel log, check the card, and mount it writable.',
      EACCES: `Let the user that runs gapcam write there: sudo chown -R $USER ${place}`,
      EPERM: `Let the user that runs gapcam write there: sudo chown -R $USER ${place}`,
      EIO: 'The disk is faulty; replace it.',
    }
    return fail(
      'write',
      `${place} cannot be written: ${writeFaultOf(error)}`,
      fixes[code ?? ''] ?? 'Set stateDir to a folder that can be written.',
    )
  }
}

async function outbox(stateFolder: string): Promise<Check> {
  const folder = join(stateFolder, 'outbox')
  const names = await readdir(folder).catch(() => [] as string[])
  const sizes = await Promise.all(
    names.map((name) =>
      stat(join(folder, name)).then(
        ({ size }) => size,
        () => 0,
      ),
    ),
  )
  return names.length === 0
    ? ok('outbox', 'empty')
    : ok(
        'outbox',
        `${megabytes(sizes.reduce((a, b) => a + b, 0))} in ${folder}; gapcam outbox status shows how many events wait`,
      )
}

function megabytes(bytes: number): string {
  return bytes < 10e6 ? `${(bytes / 1e6).toFixed(1)} MB` : `${Math.round(bytes / 1e6)} MB`
}
