// What is known of the CUDA kernels without compiling them: the rows of native/cuda/kernels.def, and the digest of their
// sources, by which a cubin tells whether it is theirs.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

export const root = fileURLToPath(new URL('../../', import.meta.url))
/** Where cubins and their manifest lie, and where the engine looks for them. */
export const cubinFolder = `${root}prebuilds/cuda`
/** The generations that cubins are shipped for. */
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

/** sha256 over every source that a cubin is made of, with its name. */
export function sourceDigest() {
  const folder = `${root}native/cuda/kernels`
  const files = readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort()
  const hash = createHash('sha256')
  for (const file of [...files, `${root}native/kernels/steps.h`, `${root}scripts/cuda/nvrtc.py`])
    hash.update(`${file.slice(root.length)}\n`).update(readFileSync(file))
  return hash.digest('hex')
}

export const readManifest = () => JSON.parse(readFileSync(`${cubinFolder}/manifest.json`, 'utf8'))
