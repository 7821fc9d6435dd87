/**
 * The folder for everything that must survive a restart: one folder per node in `stateDir`. Only the path is computed here;
 * the code that writes creates the folder.
 */
import { statSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { cacheFolder } from '../folder.js'
import type { Config } from './schema.js'

/**
 * Absolute path of the node's folder. It lies in `stateDir` of the configuration, else in the first folder of
 * $STATE_DIRECTORY (set by systemd), else in $XDG_STATE_HOME/gapcam, else in ~/.local/state/gapcam.
 */
export function stateDirectory(
  { stateDir, node }: Pick<Config, 'stateDir' | 'node'>,
  environment: NodeJS.ProcessEnv = process.env,
): string {
  const ofService = environment['STATE_DIRECTORY']?.split(':')[0]
  const ofUser = environment['XDG_STATE_HOME'] || join(homedir(), '.local', 'state')
  return resolve(stateDir || ofService || join(ofUser, 'gapcam'), node)
}

/** The file that lies where `stateDir` or a folder above it should be; null where there is none. */
export function fileInTheWay(stateDir: string): string | null {
  for (let path = resolve(stateDir); ; path = dirname(path)) {
    const status = statusOf(path)
    if (status !== null) return status.isDirectory() ? null : path
  }
}

/** Null for what does not exist, also below a file. What may not be looked at fails where it is used. */
function statusOf(path: string): { isDirectory(): boolean } | null {
  try {
    return statSync(path)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    return code === 'ENOENT' || code === 'ENOTDIR' ? null : { isDirectory: () => true }
  }
}

/**
 * The folder of compiled models: `.plans`, a name that no node can have, in `stateDir` of the configuration, else in the first folder of $STATE_DIRECTORY,
 * else in the user's folder for what can be made again. All nodes of one folder share it.
 */
export function planFolder(
  { stateDir }: Pick<Config, 'stateDir'>,
  environment: NodeJS.ProcessEnv = process.env,
): string {
  const ofService = environment['STATE_DIRECTORY']?.split(':')[0]
  return resolve(stateDir || ofService || cacheFolder(environment), '.plans')
}
