/** Folders: creates them, and knows the user's for what can be made again. */
import { mkdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'

/** The user's folder for what can be made again: $XDG_CACHE_HOME/gapcam, else ~/.cache/gapcam. */
export function cacheFolder(environment: NodeJS.ProcessEnv = process.env): string {
  return join(environment['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'gapcam')
}

/**
 * Creates a folder with its parents; a folder that exists is fine. Rejects with the true error of the file system: on a
 * read-only file system Node's own recursive mkdir rejects with ENOENT, as if a parent were missing.
 *
 *     await makeFolder('/var/lib/gapcam/porch', 0o750)
 */
export async function makeFolder(folder: string, mode?: number): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || dirname(folder) === folder) throw error
    await makeFolder(dirname(folder), mode)
    await mkdir(folder, { mode })
  }
}
