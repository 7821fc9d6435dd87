/**
 * Kernels for a GPU that no cubin is shipped for: NVRTC compiles the package's own sources on this machine, once; the
 * result is kept in the cache folder under the digest of all that it was made from.
 */
import { createHash, randomUUID } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Addon } from '../addon.js'
import { messageOf } from '../errors.js'
import type { CubinFound } from './cubins.js'

const kernels = fileURLToPath(new URL('../../native/cuda/kernels', import.meta.url))
/** What params.h includes from outside its folder. */
const steps = fileURLToPath(new URL('../../native/kernels/steps.h', import.meta.url))

/** Where CUDA's own headers (cuda_fp16.h) lie. */
function toolkitHeaders(): string | null {
  const roots = [
    process.env['CUDA_HOME'],
    '/usr/local/cuda',
    '/usr/local/cuda/targets/aarch64-linux',
    '/usr/local/cuda/targets/sbsa-linux',
    '/usr',
  ]
  return (
    roots
      .map((root) => join(root ?? '/nonexistent', 'include'))
      .find((folder) => existsSync(join(folder, 'cuda_fp16.h'))) ?? null
  )
}

/** The kernels for a generation from the cache or from NVRTC; `before` is why they are not shipped. */
export async function compileCubin(addon: Addon, sm: number, before: string): Promise<CubinFound> {
  const version = addon.nvrtcVersion()
  if (version === 0) return { why: `${before}, and there is no NVRTC to compile them (libnvrtc.so)` }
  const headers = toolkitHeaders()
  if (headers === null)
    return {
      why: `${before}, and CUDA's headers to compile them are missing (cuda_fp16.h; CUDA_HOME names their place)`,
    }
  const options = [
    `--gpu-architecture=sm_${sm}`,
    '--std=c++17',
    '--define-macro=__CUDACC_RTC__=1',
    `--include-path=${kernels}`,
    `--include-path=${join(kernels, 'nvrtc')}`,
    `--include-path=${headers}`,
  ]
  const origin = `compiled here by NVRTC ${Math.floor(version / 100)}.${version % 100}`
  try {
    const file = join(cacheFolder(), `${await digestOf([String(version), ...options])}-sm_${sm}.cubin`)
    const cached = await readCached(file)
    if (cached) return { image: cached, origin }
    const image = await addon.compileCuda(await readFile(join(kernels, 'kernels.cu'), 'utf8'), options)
    await writeCached(file, image)
    return { image, origin }
  } catch (error) {
    return { why: `${before}, and they could not be compiled: ${messageOf(error)}` }
  }
}

function cacheFolder(): string {
  return join(process.env['XDG_CACHE_HOME'] ?? join(homedir(), '.cache'), 'gapcam/cuda')
}

/** Of the sources and of what they are compiled with. */
async function digestOf(words: readonly string[]): Promise<string> {
  const hash = createHash('sha256').update(words.join('\n'))
  for (const name of (await readdir(kernels, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort())
    hash.update(await readFile(name))
  return hash
    .update(await readFile(steps))
    .digest('hex')
    .slice(0, 32)
}

/** A kept cubin: the sha256 of the rest, then the rest. Null where there is none, or it is damaged. */
async function readCached(file: string): Promise<Uint8Array | null> {
  const bytes = await readFile(file).catch(() => null)
  if (bytes === null || bytes.length < 96) return null
  const image = bytes.subarray(32)
  return createHash('sha256').update(image).digest().equals(bytes.subarray(0, 32)) ? image : null
}

/** By another name first, so that nobody reads half of it. A cache that cannot be written is no reason to stop. */
async function writeCached(file: string, image: Uint8Array): Promise<void> {
  try {
    await mkdir(join(file, '..'), { recursive: true })
    const temporary = `${file}.${randomUUID()}`
    await writeFile(temporary, Buffer.concat([createHash('sha256').update(image).digest(), image]))
    await rename(temporary, file)
  } catch {
    return
  }
}
