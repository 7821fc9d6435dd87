/** The flight recorders of a node. */
import { join } from 'node:path'
import type { Classifier } from '../classifier.js'
import type { Config } from '../config/schema.js'
import { stateDirectory } from '../config/state-directory.js'
import type { Logger } from '../log.js'
import { version } from '../version.js'
import type { FrameRecorder } from './recorder.js'

/** One recorder for each zone, by its key; none where the configuration does not enable them. */
export async function flightRecorders(
  config: Config,
  zones: readonly string[],
  classifier: Classifier,
  log: Logger,
): Promise<ReadonlyMap<string, FrameRecorder>> {
  const { enabled, folder, seconds, memoryMegabytes, diskMegabytes, onLowConfidence, onLabelChange } = config.recorder
  if (!enabled) return new Map()
  const [{ FlightRecorder }, { aboutOf }] = await Promise.all([import('./recorder.js'), import('./about.js')])
  const on = [...(onLowConfidence ? ['low_confidence'] : []), ...(onLabelChange ? ['label_changed'] : [])]
  return new Map(
    zones.map((key) => [
      key,
      new FlightRecorder({
        folder: folder ?? join(stateDirectory(config), 'recordings'),
        seconds,
        memoryBytes: memoryMegabytes * 1e6,
        diskBytes: diskMegabytes * 1e6,
        on,
        log,
        about: (spec) => aboutOf({ classifier, version, node: config.node, camera: key, topK: config.topK }, spec),
      }),
    ]),
  )
}
