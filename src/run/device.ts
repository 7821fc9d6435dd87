/** What is known of this device before it says a word: for its announcement, in a run and in `gapcam mqtt discover`. */
import type { Classifier } from '../classifier.js'
import type { BoardReader } from '../board.js'
import type { DeviceFacts } from '../publish/homeassistant.js'

export interface DeviceParts {
  readonly node: string
  readonly cameras: readonly string[]
  readonly version: string
  readonly classifier: Pick<Classifier, 'heat' | 'labels' | 'modelId' | 'version' | 'sha256'>
  readonly board: BoardReader
  readonly pageUrl?: string
}

export interface Device {
  readonly facts: DeviceFacts
  /** The model's name and its maker's version, else the start of its digest. */
  readonly model: { readonly id: string; readonly version: string }
}

/** Asks the board once; resolves within its time limit. */
export async function describeDevice({
  node,
  cameras,
  version,
  classifier,
  board,
  pageUrl,
}: DeviceParts): Promise<Device> {
  const [name, health] = await Promise.all([board.model(), board.read()])
  const { labels, modelId, sha256 } = classifier
  return {
    facts: {
      node,
      cameras,
      version,
      labels,
      hasHeat: 'heat' in classifier.heat,
      ...(name === undefined ? {} : { board: name }),
      ...(pageUrl === undefined ? {} : { pageUrl }),
      health: {
        hasTemperature: health.soc_c !== undefined,
        hasUndervoltage: health.undervoltage !== undefined,
        hasThrottling: health.throttled !== undefined,
      },
    },
    model: { id: modelId, version: classifier.version ?? sha256.slice(0, 12) },
  }
}
