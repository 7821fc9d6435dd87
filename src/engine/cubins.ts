/**
 * The CUDA kernels as shipped: one cubin a generation in prebuilds/cuda, with their digests in manifest.json. A cubin
 * whose digest differs is refused: the driver would load what it finds. GAPCAM_CUBINS names another folder.
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

export interface Cubin {
  readonly image: Uint8Array
  /** Where it comes from, for people. */
  readonly origin: string
}

export type CubinFound = Cubin | { readonly why: string }

/** The cubin of a generation (compute capability as a number, 87), or why there is none. */
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
