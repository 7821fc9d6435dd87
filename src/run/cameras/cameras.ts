/** The cameras of a node: which ones there are, and how they run side by side. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { findFirstCamera } from '../../camera/find.js'
import type { CameraConfig, Config } from '../../config/schema.js'
import { GapcamError } from '../../errors.js'
import type { Logger } from '../../log.js'
import type { Publisher } from '../../publish/publisher.js'
import type { NodeCamera } from './camera.js'
import type { Deadlines } from '../guard/deadlines.js'

/**
 * The configured cameras. Without any, or with one that has no source: the first one found that works, else the photographs that come
 * with gapcam; `onMissing` hears why each device found was not used. Rejects with CAMERA_NOT_FOUND.
 */
export async function camerasOf(
  config: Config,
  signal: AbortSignal,
  onMissing: (reason: string) => void,
): Promise<readonly CameraConfig[]> {
  const [given = { id: 'cam0', source: '' }] = config.cameras
  if (config.cameras.length > 0 && config.cameras.every(({ source }) => source !== '')) return config.cameras
  const found = await findFirstCamera(signal)
  if ('uri' in found) return [{ ...given, source: found.uri }]
  const folder = fileURLToPath(new URL('../../../models/photos', import.meta.url))
  if (!existsSync(folder))
    throw new GapcamError('CAMERA_NOT_FOUND', `there is no camera that works: ${found.reasons.join('; ')}`)
  for (const reason of found.reasons) onMissing(reason)
  // Three seconds for each photograph, so that its label settles.
  return [{ holdMs: 3000, loop: true, ...given, source: folder }]
}

export interface CamerasOptions {
  readonly cameras: readonly NodeCamera[]
  readonly publisher: Publisher
  readonly deadlines: Deadlines
  readonly log: Logger
}

/**
 * Runs all cameras until each has ended or `ending` is aborted. A camera that cannot be opened is logged and left out;
 * it rejects with that camera's error only when no camera can be opened. Any other fault, such as the engine's, ends all
 * cameras and rejects.
 */
export async function runCameras(options: CamerasOptions, ending: AbortController): Promise<void> {
  const { cameras, publisher, deadlines, log } = options
  const faults: GapcamError[] = []
  await Promise.all(
    cameras.map(async (camera) => {
      const { id } = camera.config
      try {
        await camera.run(deadlines.loop(`camera ${id}`), ending.signal)
      } catch (error) {
        if (!(error instanceof GapcamError) || error.exitStatus !== 3) {
          ending.abort()
          throw error
        }
        faults.push(error)
        const fate =
          cameras.length > 1 ? '; it is left out until the next start (waitForCameras: true waits for it)' : ''
        log.error({ camera: id, code: error.code }, `${error.message}${fate}`)
        publisher.cameraStatus(id, 'offline')
      }
    }),
  )
  const [first] = faults
  if (first && faults.length === cameras.length) throw first
}
