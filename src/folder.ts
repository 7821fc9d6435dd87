/** Creates folders. */
import { mkdir } from 'node:fs/promises'
import { dirname } from 'node:path'

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
