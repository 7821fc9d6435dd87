// Builds the test driver, a libcuda.so.1 (native/cuda/fake), if needed. To run gapcam on it by hand:
//   eval "$(node scripts/cuda/fake.mjs)"; npx gapcam classify --engine cuda models/photos
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))

/**
 * Builds a target in the folder of the native tests, so that `npm test` need not. A lock allows one build at a time.
 */
export function buildPlain(target) {
  mkdirSync(join(root, '.cache'), { recursive: true })
  const commands = `(test -f build-plain/Makefile || cmake -S . -B build-plain -DGAPCAM_ADDON=OFF) && cmake --build build-plain --target ${target} -j2`
  const { status, stdout, stderr } = spawnSync('flock', ['.cache/build-plain.lock', 'sh', '-c', commands], {
    cwd: root,
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`${target} could not be built:\n${stdout}\n${stderr}`)
}

/** Builds the driver. Returns the environment variables with which a program finds it. */
export function prepareFakeCuda() {
  buildPlain('fake_cuda')
  return { LD_LIBRARY_PATH: join(root, 'build-plain/fake-cuda') }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [name, value] of Object.entries(prepareFakeCuda())) console.log(`export ${name}='${value}'`)
}
