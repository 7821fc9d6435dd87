// The tests' libcuda.so.1 (native/cuda/fake): builds it where that is needed, and writes kernels for it, which are the
// headers of cubins and nothing else. To run gapcam on it by hand:
//   eval "$(node scripts/fake-cuda.mjs)"; npx gapcam classify --engine cuda models/photos
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../', import.meta.url))
const generations = [72, 87, 89, 90, 110]

/** In the native tests' build, so that `npm test` has it already. One build at a time, whoever asks. */
function build() {
  mkdirSync(join(root, '.cache'), { recursive: true })
  const commands = '(test -f build-plain/Makefile || cmake -S . -B build-plain -DGAPCAM_ADDON=OFF) && cmake --build build-plain --target fake_cuda -j2'
  const { status, stdout, stderr } = spawnSync('flock', ['.cache/fake-cuda.lock', 'sh', '-c', commands], { cwd: root, encoding: 'utf8' })
  if (status !== 0) throw new Error(`the tests' CUDA driver could not be built:\n${stdout}\n${stderr}`)
}

/** manifest.json and an ELF header a generation: machine 190, the generation in the flags. */
function writeStubs(folder) {
  mkdirSync(folder, { recursive: true })
  const cubins = generations.map((sm) => {
    const image = Buffer.alloc(64)
    image.write('\x7fELF\x02\x01\x01\x33\x07', 'latin1')
    image[18] = 190
    image[48] = sm
    writeFileSync(join(folder, `sm_${sm}.cubin`), image)
    return { sm, file: `sm_${sm}.cubin`, sha256: createHash('sha256').update(image).digest('hex') }
  })
  writeFileSync(join(folder, 'manifest.json'), JSON.stringify({ cubins }))
}

/** The variables with which a program finds the driver and kernels for it. */
export function prepareFakeCuda() {
  build()
  const cubins = join(root, '.cache/stub-cubins')
  writeStubs(cubins)
  return { LD_LIBRARY_PATH: join(root, 'build-plain/fake-cuda'), GAPCAM_CUBINS: cubins }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [name, value] of Object.entries(prepareFakeCuda())) console.log(`export ${name}='${value}'`)
}
