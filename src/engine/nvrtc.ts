/**
 * Kernels for a GPU without a shipped cubin: NVRTC compiles the package's kernel sources on this machine. The result is
 * kept in the cache folder, under the digest of its sources and options, so that this happens once.
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
/** params.h includes this file from outside the folder of the kernels. */
const steps = fileURLToPath(new URL('../../native/kernels/steps.h', import.meta.url))

/** The folder with CUDA's headers (cuda_fp16.h); null if there is none. */
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

/**
 * The kernels for a generation, from the cache or compiled by NVRTC. `before` says why no shipped cubin serves; the
 * reason of a failure starts with it.
 */
export async function compileCubin(addon: Addon, sm: number, before: string): Promise<CubinFound> {
  const version = addon.nvrtcVersion()
  if (version === 0) return { why: `${before}, and there is no NVRTC to compile them (libnvrtc.so is missing)` }
  const headers = toolkitHeaders()
  if (headers === null)
    return {
      why: `${before}, and CUDA's headers to compile them are missing (cuda_fp16.h; set CUDA_HOME to the folder of CUDA)`,
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

/** The digest of the sources and of `words`: the compiler's version and options. */
async function digestOf(words: readonly string[]): Promise<string> {
  const hash = createHash('sha256').update(words.join('\n'))
  for (const name of (await readdir(kernels, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.md'))
    .map((entry) => join(entry.parentPath, entry.name))
    .sort())
    hash.update(await readFile(name))
  return hash
    .update(await readFile(steps))
    .digest('hex')
    .slice(0, 32)
}

/** A cached cubin: a file with its sha256, then its bytes. Null if there is none, or if it is damaged. */
async function readCached(file: string): Promise<Uint8Array | null> {
  const bytes = await readFile(file).catch(() => null)
  if (bytes === null || bytes.length < 96) return null
  const image = bytes.subarray(32)
  return createHash('sha256').update(image).digest().equals(bytes.subarray(0, 32)) ? image : null
}

/**
 * Writes a temporary file first, so that no process reads an incomplete one. A failure is ignored: the cache is
 * optional.
 */
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
