/**
 * The folder for everything that must survive a restart: one folder per node in `stateDir`. Only the path is computed here;
 * the code that writes creates the folder.
 */
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
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
