/**
 * The shipped CUDA kernels: one cubin for each generation in prebuilds/cuda, with its digest in manifest.json. A cubin
 * with another digest is refused, because the driver would load it. GAPCAM_CUBINS names another folder.
 */
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { messageOf } from '../errors.js'

/** prebuilds/cuda/manifest.json, as scripts/cuda/build-cubins.mjs writes it. */
interface CubinManifest {
  readonly cubins: readonly { readonly sm: number; readonly file: string; readonly sha256: string }[]
}

/** Compiled kernels for one generation. */
export interface Cubin {
  readonly image: Uint8Array
  /** Its file name, or the compiler that made it; for messages. */
  readonly origin: string
}

/** A cubin, or the reason why there is none. */
export type CubinFound = Cubin | { readonly why: string }

/**
 * The shipped cubin for a generation, which is the compute capability as a number.
 *
 *     const found = await findCubin(87)
 *     if ('why' in found) console.error(found.why)
 */
export async function findCubin(sm: number): Promise<CubinFound> {
  const folder = process.env['GAPCAM_CUBINS'] ?? fileURLToPath(new URL('../../prebuilds/cuda', import.meta.url))
  let manifest: CubinManifest
  try {
    manifest = JSON.parse(await readFile(join(folder, 'manifest.json'), 'utf8')) as CubinManifest
  } catch (error) {
    return { why: `the CUDA kernels are not built (${messageOf(error)})` }
  }
  const entry = manifest.cubins.find((cubin) => cubin.sm === sm)
  if (!entry)
    return {
      why: `there are no kernels for sm_${sm}, only for ${manifest.cubins.map((cubin) => `sm_${cubin.sm}`).join(', ')}`,
    }
  const file = join(folder, entry.file)
  try {
    const image = await readFile(file)
    const digest = createHash('sha256').update(image).digest('hex')
    return digest === entry.sha256
      ? { image, origin: entry.file }
      : { why: `the CUDA kernels in ${file} are damaged: their digest differs from the manifest's` }
  } catch (error) {
    return { why: `the CUDA kernels cannot be read: ${messageOf(error)}` }
  }
}
