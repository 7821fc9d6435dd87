// Builds the test driver, a libcuda.so.1 (native/cuda/fake), if needed. To run gapcam on it by hand:
//   eval "$(node scripts/cuda/fake.mjs)"; npx gapcam classify --engine cuda models/photos
import { fileURLToPath } from 'node:url'
import { buildPrograms, programFolder } from '../build/native-programs.mjs'

/** Builds the driver. Returns the environment variables with which a program finds it. */
export function prepareFakeCuda() {
  buildPrograms('fake_cuda')
  return { LD_LIBRARY_PATH: `${programFolder}/fake-cuda` }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [name, value] of Object.entries(prepareFakeCuda())) console.log(`export ${name}='${value}'`)
}
