/** The flight recorders of a node's zones. */
import { join } from 'node:path'
import type { Classifier } from '../classifier.js'
import type { Config } from '../config/schema.js'
import { stateDirectory } from '../config/state-directory.js'
import type { Logger } from '../log.js'
import { version } from '../version.js'
import type { FrameRecorder } from './recorder.js'

/** Recorders by the keys of their zones. */
export interface FlightRecorders {
  /** The recorder of a zone, made when it is first asked for; undefined where the configuration does not enable them. */
  of(key: string, classifier: Classifier): FrameRecorder | undefined
  /** The recorder of a zone that has one. */
  find(key: string): FrameRecorder | undefined
  /** The zone is gone: what it has in memory is forgotten. */
  drop(key: string): void
  close(): Promise<void>
}

/** Opens what recorders need. */
export async function flightRecorders(config: Config, log: Logger): Promise<FlightRecorders> {
  const { enabled, folder, seconds, memoryMegabytes, diskMegabytes, onLowConfidence, onLabelChange } = config.recorder
  const made = new Map<string, FrameRecorder>()
  const parts = enabled ? await Promise.all([import('./recorder.js'), import('./about.js')]) : null
  const on = [...(onLowConfidence ? ['low_confidence'] : []), ...(onLabelChange ? ['label_changed'] : [])]
  return {
    of(key, classifier) {
      if (!parts) return undefined
      const [{ FlightRecorder }, { aboutOf }] = parts
      const recorder = new FlightRecorder({
        folder: folder ?? join(stateDirectory(config), 'recordings'),
        seconds,
        memoryBytes: memoryMegabytes * 1e6,
        diskBytes: diskMegabytes * 1e6,
        on,
        log,
        about: (spec) => aboutOf({ classifier, version, node: config.node, camera: key, topK: config.topK }, spec),
      })
      made.set(key, recorder)
      return recorder
    },
    find: (key) => made.get(key),
    drop(key) {
      void made.get(key)?.close()
      made.delete(key)
    },
    async close() {
      for (const recorder of made.values()) await recorder.close()
    },
  }
}
