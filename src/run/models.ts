/**
 * The models of a node's zones: each file is opened once, whatever the number of zones that use it, and closed when the
 * last of them is gone. The node's own model is open for as long as the node is. Taught heads share the network that they
 * were taught on (taught-models.ts).
 */
import { realpath } from 'node:fs/promises'
import { openBundleStore } from '../bundle/store.js'
import { openClassifier, type Classifier } from '../classifier.js'
import { modelOptions } from '../config/model.js'
import type { Config } from '../config/schema.js'
import { modelNamed } from '../config/zones.js'
import { GapcamError } from '../errors.js'
import { galleryModel } from '../gallery/store.js'
import type { Logger } from '../log.js'
import { openTaughtModels, type TaughtModels } from './taught-models.js'

/** A model in use. Release it when it is not needed any more. */
export interface ModelLease {
  readonly classifier: Classifier
  /** Resolves when the model is closed, where nothing else uses it. No frame may be under way in it. */
  release(): Promise<void>
}

export interface Models {
  /** Opens a model by its name in `models` or by its path; undefined: the node's own. Rejects with MODEL_* and CONFIG_INVALID. */
  lease(name: string | undefined): Promise<ModelLease>
  /** The network that heads are taught on, and the heads that it serves. */
  readonly taught: TaughtModels
  /** Closes all but the node's own. */
  close(): Promise<void>
}

interface Entry {
  readonly opening: Promise<Classifier>
  leases: number
}

/** The models beside `own`, the node's; `stateFolder` has the taught heads. */
export function openModels(
  config: Config,
  own: Classifier,
  log: Pick<Logger, 'warn'>,
  stateFolder: string | null = null,
): Models {
  const entries = new Map<string, Entry>()
  const taught = openTaughtModels(config, stateFolder)
  const ownKey = keyOf(own.path, config.labels)

  async function release(key: string, entry: Entry): Promise<void> {
    entry.leases--
    if (entry.leases > 0) return
    if (entries.get(key) === entry) entries.delete(key)
    const classifier = await entry.opening.catch(() => null)
    await classifier?.close()
  }

  return {
    taught,
    async lease(name) {
      const kept: ModelLease = { classifier: own, release: () => Promise.resolve() }
      if (name === undefined) return kept
      const installed = stateFolder === null ? null : openBundleStore(stateFolder).serving(name)
      const gallery = stateFolder === null ? null : await galleryModel(stateFolder, name)
      const isTaught = await taught.has(name)
      const places = [
        Object.hasOwn(config.models.named, name) && 'an entry of models',
        isTaught && 'a taught head',
        installed !== null && 'an installed bundle',
        gallery !== null && 'a gallery',
      ].filter((place) => place !== false)
      if (places.length > 1)
        throw new GapcamError(
          'CONFIG_INVALID',
          `there are two models ${name}: ${places.join(', and ')}; give one of them another name`,
        )
      const head = isTaught ? await taught.lease(name) : null
      if (head) return head
      const file = installed ?? gallery
      const found = file === null ? modelNamed(name, config.models.named) : { path: file, labels: undefined }
      if ('fault' in found) throw new GapcamError('CONFIG_INVALID', found.fault)
      const key = await keyOf(found.path, found.labels)
      // The node's own label file is not the zone's, unless it is named there too.
      if (key === (await ownKey) || (found.labels === undefined && key === (await keyOf(own.path, undefined))))
        return kept
      const entry: Entry = entries.get(key) ?? { leases: 0, opening: open(config, found, log) }
      entries.set(key, entry)
      entry.leases++
      try {
        const classifier = await entry.opening
        let isReleased = false
        return {
          classifier,
          release() {
            if (isReleased) return Promise.resolve()
            isReleased = true
            return release(key, entry)
          },
        }
      } catch (error) {
        await release(key, entry)
        throw error
      }
    },
    async close() {
      const open = [...entries.values()]
      entries.clear()
      for (const { opening } of open) await (await opening.catch(() => null))?.close()
      await taught.close()
    },
  }
}

/** One file with one set of labels; links lead to the same one. */
async function keyOf(path: string, labels: string | undefined): Promise<string> {
  const real = await realpath(path).catch(() => path)
  return JSON.stringify([real, labels ?? null])
}

function open(
  config: Config,
  { path, labels }: { readonly path: string; readonly labels?: string | undefined },
  log: Pick<Logger, 'warn'>,
): Promise<Classifier> {
  return openClassifier({
    ...modelOptions(config),
    model: path,
    labels,
    // These are about the node's own model.
    inputSize: undefined,
    resize: undefined,
    heat: config.heat,
    onFault: (sentence) => log.warn(sentence),
  })
}
