// Facts about the CUDA kernels without compiling them: the rows of native/cuda/kernels.def, and the digest of the
// sources. The digest tells whether a cubin was compiled from the current sources.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../../', import.meta.url))
/** The folder of the cubins and their manifest, where the engine looks for them. */
export const cubinFolder = `${root}prebuilds/cuda`
/** The generations with shipped cubins. */
export const generations = [72, 87, 89, 90, 110]

/** [{ name, precision, threads, firstSm, lastSm }] */
export function kernelRows() {
  const text = readFileSync(`${root}native/cuda/kernels.def`, 'utf8')
  return [...text.matchAll(/^GAPCAM_CUDA_KERNEL\((\w+), \w+, k(\w+), (\d+), (\d+), (\d+)\)$/gm)].map(
    ([, name, precision, threads, firstSm, lastSm]) => ({
      name,
      precision: precision.toLowerCase(),
      threads: Number(threads),
      firstSm: Number(firstSm),
      lastSm: Number(lastSm),
    }),
  )
}

/** The sha256 of every source that a cubin is compiled from, with its name. */
export function sourceDigest() {
  const folder = `${root}native/cuda/kernels`
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.md'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
  const hash = createHash('sha256')
  for (const file of [...files, `${root}native/kernels/steps.h`, `${root}scripts/cuda/nvrtc.py`])
    hash.update(`${file.slice(root.length)}\n`).update(readFileSync(file))
  return hash.digest('hex')
}

export const readManifest = () => JSON.parse(readFileSync(`${cubinFolder}/manifest.json`, 'utf8'))
