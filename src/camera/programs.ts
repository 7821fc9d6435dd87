/** The programs that cameras run as children: whether one is installed, and that none outlives us. */
import { existsSync } from 'node:fs'
import { GapcamError } from '../errors.js'
import { shownAddress } from '../secrets.js'

const setpriv = '/usr/bin/setpriv'

/** A command line that makes the kernel kill the child when we die. Needs setpriv; without it the command is unchanged. */
export function endingWithUs(command: string, args: readonly string[]): [command: string, args: string[]] {
  return existsSync(setpriv) ? [setpriv, ['--pdeathsig', 'KILL', '--', command, ...args]] : [command, [...args]]
}

/** The file of a program on the PATH, or null. */
export function programPath(program: string): string | null {
  const folders = (process.env['PATH'] ?? '').split(':').filter((folder) => folder !== '')
  return folders.map((folder) => `${folder}/${program}`).find((path) => existsSync(path)) ?? null
}

/** The file of a program. Throws CAMERA_TOOL_MISSING where it is not on the PATH. */
export function requireProgram(program: string, uri: string, debianPackage: string): string {
  const path = programPath(program)
  if (path !== null) return path
  throw new GapcamError('CAMERA_TOOL_MISSING', `camera ${shownAddress(uri)} needs ${program}, which is not installed`, {
    hint: `Debian: sudo apt-get install ${debianPackage}`,
  })
}
