/** What a node knows of itself and its device: the facts for Home Assistant's discovery, and the retained info message. */
import type { BoardReader } from '../board.js'
import type { Classifier } from '../classifier.js'
import type { Config } from '../config/schema.js'
import type { DeviceFacts, ZoneFacts } from '../publish/homeassistant/device.js'
import type { TopicPlaces } from '../publish/topics.js'
import { version } from '../version.js'
import type { AnnouncedZone } from './zones/zones.js'

export interface DeviceParts {
  readonly node: string
  readonly cameras: readonly string[]
  /** Default: each camera has only its own question. */
  readonly zones?: readonly AnnouncedZone[] | undefined
  readonly version: string
  readonly classifier: Pick<Classifier, 'heat' | 'labels' | 'modelId' | 'version' | 'sha256' | 'task' | 'mask'>
  readonly board: BoardReader
  readonly pageUrl?: string | undefined
}

export interface Device {
  readonly facts: DeviceFacts
  /** The model's name, and its maker's version or the start of its digest. */
  readonly model: { readonly id: string; readonly version: string }
}

/** Asks the board once; resolves within the board reader's time limit. */
export async function describeDevice(parts: DeviceParts): Promise<Device> {
  const { node, cameras, version: ownVersion, classifier, board, pageUrl } = parts
  const [name, readings] = await Promise.all([board.model(), board.read()])
  const { labels, modelId, sha256 } = classifier
  return {
    facts: {
      node,
      cameras,
      ...zoneFactsOf(cameras, parts.zones),
      version: ownVersion,
      labels,
      hasHeat: 'heat' in classifier.heat,
      hasBoxes: classifier.task === 'detect',
      hasMask: classifier.mask !== null,
      board: boardName(name),
      pageUrl,
      health: {
        hasTemperature: readings.soc_c !== undefined,
        hasUndervoltage: readings.undervoltage !== undefined,
        hasThrottling: readings.throttled !== undefined,
      },
    },
    model: { id: modelId, version: classifier.version ?? sha256.slice(0, 12) },
  }
}

/** The part of the facts that changes when zones are added and removed. */
export function zoneFactsOf(
  cameras: readonly string[],
  zones?: readonly AnnouncedZone[],
): Pick<DeviceFacts, 'zones' | 'withoutOwn'> {
  if (!zones) return {}
  return {
    withoutOwn: cameras.filter((camera) => !zones.some(({ definition }) => definition.key === camera)),
    zones: zones.flatMap(({ definition: { zone, camera, name, model }, classifier }): ZoneFacts[] =>
      zone === null
        ? []
        : [
            {
              camera,
              id: zone,
              name,
              labels: classifier?.labels ?? [],
              hasHeat: classifier !== null && 'heat' in classifier.heat,
              hasBoxes: classifier?.task === 'detect',
              hasMask: classifier?.mask != null,
              // A taught head has the name of its model instead of a path.
              ...(classifier !== null && classifier.path === model ? { taught: classifier.labels } : {}),
            },
          ],
    ),
  }
}

/** What makers of boards leave in the firmware where a name should be. */
const placeholder = /^(to be filled|default string|system product name|not specified|o\.?e\.?m\.?|none|unknown)/i
const architectures: Readonly<Record<string, string>> = { x64: 'x86-64', arm64: 'ARM64', arm: 'ARM', ia32: 'x86' }

/** The board's name, else what kind of computer it is. */
export function boardName(name: string | undefined, architecture: string = process.arch): string {
  if (name !== undefined && name.trim() !== '' && !placeholder.test(name.trim())) return name
  return `${architectures[architecture] ?? architecture} computer`
}

/** The fields of R/info and of the `info` command: versions, model, engine and why it was chosen. */
export function infoOf(
  { node, groups }: Pick<Config, 'node' | 'groups'>,
  { cameras, zones }: TopicPlaces,
  classifier: Classifier,
): Record<string, unknown> {
  const { engine, target, threads, reason, rejected, cuda } = classifier.engine.describe()
  return {
    version,
    node,
    ...(groups.length > 0 ? { groups } : {}),
    cameras,
    ...(zones.some((key) => key.includes('/')) ? { zones: zones.filter((key) => key.includes('/')) } : {}),
    model: { id: classifier.modelId, sha256: classifier.sha256, version: classifier.version },
    engine,
    target,
    threads,
    reason,
    rejected,
    ...(cuda
      ? { gpu: { device: cuda.device, driver: cuda.driver, kernels: cuda.kernels, self_test: cuda.selfTest } }
      : {}),
    platform: `${process.platform}-${process.arch}`,
    runtime: `node ${process.version}`,
  }
}
