/** The arm64 addon as it is published, for the tests that run or inspect it. */
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { cleanEnvironment, launch } from './process.js'
import { projectRoot } from './shared.js'

/** Builds it with zig, unless it is there; resolves with its file. A lock allows one build at a time. */
export async function buildArm64Addon(): Promise<string> {
  mkdirSync(join(projectRoot, '.cache'), { recursive: true })
  const command = [process.execPath, join(projectRoot, 'scripts/build-native.mjs'), '--arch', 'arm64', '--zig']
  const running = launch('flock', [join(projectRoot, '.cache/build-arm64-zig.lock'), ...command], {
    env: cleanEnvironment(),
    cwd: projectRoot,
  })
  const status = await running.ended
  if (status !== 0) throw new Error(`the arm64 addon could not be built (${status}):\n${running.stderr()}`)
  return join(projectRoot, 'prebuilds/linux-arm64/gapcam.node')
}
