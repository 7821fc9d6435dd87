/** The folder of the flight recorder: files appear whole or not at all, and the oldest are deleted to stay within a limit. */
import { open, readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { GapcamError, writeFaultOf } from '../errors.js'
import { makeFolder } from '../folder.js'
import { encodeFrame, encodeStart, type About } from './format.js'
import { factsOf, loggedLogits, type KeptFrame, type Outcome } from './frames.js'

/** What the name of every recording ends with. */
export const recordingEnding = '.gcrec'

/** JSON and record heads of one frame, at most about this many bytes. */
const frameOverhead = 4096

/**
 * Writes frames as a recording into `folder`, whose recordings may take `diskBytes` together. Resolves with the file's
 * path. Rejects with RECORDING_NOT_WRITTEN and leaves nothing behind.
 */
export async function storeRecording(
  folder: string,
  diskBytes: number,
  about: About,
  frames: readonly KeptFrame[],
): Promise<string> {
  const { camera, startedMs } = about
  const time = new Date(startedMs).toISOString().replace(/[:.]/g, '-')
  const path = join(folder, `${camera.replaceAll('/', '_')}-${time}-${frames[0]!.seq}${recordingEnding}`)
  const need = frames.reduce(
    (sum, { pixels, outcome }) => sum + pixels.length + (outcome?.logits.byteLength ?? 0) + frameOverhead,
    0,
  )
  if (need > diskBytes)
    throw new GapcamError(
      'RECORDING_NOT_WRITTEN',
      `a recording of ${megabytes(need)} MB exceeds the ${megabytes(diskBytes)} MB that recordings may take`,
    )
  try {
    await makeFolder(folder)
    await makeRoom(folder, diskBytes - need)
    await writeAll(path, about, frames)
  } catch (error) {
    await rm(`${path}.part`, { force: true }).catch(() => undefined)
    throw new GapcamError('RECORDING_NOT_WRITTEN', `recording ${path}: ${writeFaultOf(error)}`, { cause: error })
  }
  return path
}

async function writeAll(path: string, about: About, frames: readonly KeptFrame[]): Promise<void> {
  const file = await open(`${path}.part`, 'w')
  try {
    for (const part of encodeStart(about)) await file.appendFile(part)
    let previous: Outcome['after'] | null = null
    for (const frame of frames) {
      const facts = factsOf(frame, previous)
      if (!facts) continue
      for (const part of encodeFrame(facts, frame.pixels, loggedLogits(facts, frame))) await file.appendFile(part)
      previous = frame.outcome!.after
    }
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(`${path}.part`, path)
}

/** Deletes the oldest recordings until the rest take at most `mostBytes`, and what a crash left half-written. */
async function makeRoom(folder: string, mostBytes: number): Promise<void> {
  const names = (await readdir(folder)).filter(
    (name) => name.endsWith(recordingEnding) || name.endsWith(`${recordingEnding}.part`),
  )
  const files = await Promise.all(
    names.map(async (name) => {
      const path = join(folder, name)
      const { size, mtimeMs } = await stat(path)
      return { path, isPart: name.endsWith('.part'), bytes: size, modifiedMs: mtimeMs }
    }),
  )
  files.sort((a, b) => a.modifiedMs - b.modifiedMs)
  let total = files.reduce((sum, { bytes }) => sum + bytes, 0)
  for (const { path, bytes, isPart } of files) {
    if (total <= mostBytes && !isPart) continue
    await rm(path, { force: true })
    total -= bytes
  }
}

const megabytes = (bytes: number): number => Math.round(bytes / 1e6)
