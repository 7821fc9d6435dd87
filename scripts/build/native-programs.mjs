// Builds programs of native/test in the folder of the addon, whose objects they share: build-x64 or build-arm64.
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))

/** Where the built programs are. */
export const programFolder = `${root}build-${process.arch}`

/** Builds targets of native/test/CMakeLists.txt. A lock allows one build at a time. Throws an Error with the compiler's output. */
export function buildPrograms(...targets) {
  mkdirSync(`${root}.cache`, { recursive: true })
  const folder = `build-${process.arch}`
  const configure = `'${process.execPath}' node_modules/cmake-js/bin/cmake-js configure --out ${folder} --arch ${process.arch} --prefer-make`
  const commands = `(test -f ${folder}/Makefile || ${configure}) && cmake --build ${folder} --target ${targets.join(' ')} -j2`
  const { status, stdout, stderr } = spawnSync('flock', [`.cache/${folder}.lock`, 'sh', '-c', commands], {
    cwd: root,
    encoding: 'utf8',
    maxBuffer: 1 << 26,
  })
  if (status !== 0) throw new Error(`${targets.join(', ')} could not be built:\n${stdout}\n${stderr}`)
}
