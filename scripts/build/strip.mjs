/** Removes what only a debugger reads from a program, by binutils for its processor. */
import { spawnSync } from 'node:child_process'

const programs = { arm64: 'aarch64-linux-gnu-strip', x64: 'x86_64-linux-gnu-strip' }

/** `arch` is Node's name of the processor; `options` are those of strip, default all symbols. Throws where it fails. */
export function strip(file, arch, ...options) {
  const program = arch === process.arch ? 'strip' : programs[arch]
  const { status, stderr, error } = spawnSync(program, [...options, file], { encoding: 'utf8' })
  if (error || status !== 0) throw new Error(`${program} ${file} failed: ${error?.message ?? stderr}`)
}
