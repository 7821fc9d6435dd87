/**
 * Where a node keeps what must outlive a restart: a folder of its own in `stateDir`. Only the path is made here; who
 * writes makes the folder.
 */
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Config } from './schema.js'

/**
 * `stateDir` of the configuration, else $STATE_DIRECTORY (set by systemd, which may name several: the first), else
 * $XDG_STATE_HOME/gapcam, else ~/.local/state/gapcam; and in it the node's folder. Absolute.
 */
export function stateDirectory(
  { stateDir, node }: Pick<Config, 'stateDir' | 'node'>,
  environment: NodeJS.ProcessEnv = process.env,
): string {
  const ofService = environment['STATE_DIRECTORY']?.split(':')[0]
  const ofUser = environment['XDG_STATE_HOME'] || join(homedir(), '.local', 'state')
  return resolve(stateDir || ofService || join(ofUser, 'gapcam'), node)
}
