/** The folder of larger test data: GAPCAM_SHARED, else ../shared beside the project. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

/** The project's root folder, with a trailing slash. */
export const projectRoot = fileURLToPath(new URL('../', import.meta.url))

/** The folder with models/, zoo/ and images/, or null if there is none; then the tests that need it are skipped. */
export function sharedFolder(): string | null {
  const folder = process.env['GAPCAM_SHARED'] ?? fileURLToPath(new URL('../../shared', import.meta.url))
  return existsSync(`${folder}/zoo/MANIFEST.json`) ? folder : null
}
