/**
 * The models of a node's zones: each file is opened once, whatever the number of zones that use it, and closed when the
 * last of them is gone. The node's own model is open for as long as the node is. Taught heads share the network that they
 * were taught on (../teaching/models.ts).
 */
import { realpath } from 'node:fs/promises'
import { openBundleStore } from '../../bundle/store.js'
import { openClassifier, type Classifier, type ClassifierOptions } from '../../classifier.js'
import { noEmbedding } from '../../classifier/embedding.js'
import { modelOptions } from '../../config/model.js'
import type { Config } from '../../config/schema.js'
import { modelNamed } from '../../config/zones.js'
import type { ClipOptions, Task } from '../../decision/task.js'
import { GapcamError } from '../../errors.js'
import { galleryModel } from '../../gallery/store.js'
import type { Logger } from '../../log.js'
import { ownModelOptions } from '../bundles/ordinary-model.js'
import { openTaughtModels, type TaughtModels } from '../teaching/models.js'

/** A model in use. Release it when it is not needed any more. */
export interface ModelLease {
  readonly classifier: Classifier
  /** Resolves when the model is closed, where nothing else uses it. No frame may be under way in it. */
  release(): Promise<void>
}

/** What a zone wants of a model. */
export interface ModelWish {
  /** What it is asked; undefined: what it answers. */
  readonly task?: Task | undefined
  /** How its clips are made of frames; undefined: as it says. */
  readonly clip?: ClipOptions | undefined
  /** Whether it must give embeddings, where it can. */
  readonly embedding?: boolean | undefined
}

/** A wish with nothing left open: one text for one wish. */
type Wish = Pick<ModelWish, 'task' | 'clip'> & { readonly embedding: boolean }

export interface Models {
  /**
   * Opens a model by its name in `models` or by its path; undefined: the node's own. Rejects with MODEL_* and
   * CONFIG_INVALID.
   */
  lease(name: string | undefined, wish?: ModelWish): Promise<ModelLease>
  /** The network that heads are taught on, and the heads that it serves. */
  readonly taught: TaughtModels
  /** Closes all but the node's own. */
  close(): Promise<void>
}

interface Entry {
  readonly opening: Promise<Classifier>
  leases: number
}

/** What the node's own model may be opened with for a zone. */
export type OwnWish = Pick<ClassifierOptions, 'task' | 'clip' | 'embedding'>

/** Puts what is compared behind the node's model, as it was opened for a wish. */
type Behind = (model: Classifier, wish: OwnWish) => Promise<Classifier>

/** The models beside `own`, the node's; `stateFolder` has the taught heads. */
export function openModels(
  config: Config,
  own: Classifier,
  log: Pick<Logger, 'info' | 'warn'>,
  stateFolder: string | null = null,
  behind: Behind = (model) => Promise.resolve(model),
): Models {
  const opened = openOnce()
  const taught = openTaughtModels(config, own.sha256, stateFolder)
  const ownKey = keyOf(own.path, config.labels)
  const options = { heat: config.heat, onFault: (sentence: string) => log.warn(sentence) }
  const ownLease: ModelLease = { classifier: own, release: () => Promise.resolve() }
  /** Whether the node's own model answers what is asked, as it is open, and whether it gives the embedding that is wanted. */
  const isAsOwn = ({ task, clip }: Wish): boolean => (task === undefined || task === own.task) && clip === undefined
  const isEnough = ({ embedding }: Wish): boolean => !embedding || !isUnasked(own)

  /** The node's own model, opened once more where the open one lacks what is wished. */
  async function leaseOwn(wish: Wish): Promise<ModelLease> {
    if (isEnough(wish) && (isAsOwn(wish) || wish.task !== 'video')) return ownLease
    const more = ownWish(wish)
    return opened.lease(JSON.stringify(wish), async () =>
      behind(await openClassifier({ ...options, ...(await ownModelOptions(config, log)), ...more }), more),
    )
  }

  async function leaseNamed(name: string, wish: Wish): Promise<ModelLease> {
    const { task, clip } = wish
    const isTaught = await taught.has(name)
    const found = await namedFile(name, { config, stateFolder, isTaught })
    const head = isTaught ? await taught.lease(name, { task, clip }) : null
    if (head) return head
    if ('fault' in found) throw new GapcamError('CONFIG_INVALID', found.fault)
    const { path, labels } = found
    const key = await keyOf(path, labels)
    // The node's own label file is not the zone's, unless it is named there too.
    const isOwn = key === (await ownKey) || (labels === undefined && key === (await keyOf(own.path, undefined)))
    if (isOwn && isAsOwn(wish) && isEnough(wish)) return ownLease
    // These are about the node's own model.
    const notOwn = { inputSize: undefined, resize: undefined }
    return opened.lease(`${key}${JSON.stringify(wish)}`, () =>
      openClassifier({ ...modelOptions(config), ...options, model: path, labels, ...wish, ...notOwn }),
    )
  }

  return {
    taught,
    lease(name, { task, clip, embedding = false } = {}) {
      const wish = { task, clip, embedding }
      return name === undefined ? leaseOwn(wish) : leaseNamed(name, wish)
    },
    async close() {
      await opened.close()
      await taught.close()
    },
  }
}

/** Models by key, each open as long as it has a lease. */
function openOnce(): {
  lease(key: string, open: () => Promise<Classifier>): Promise<ModelLease>
  close(): Promise<void>
} {
  const entries = new Map<string, Entry>()

  async function release(key: string, entry: Entry): Promise<void> {
    entry.leases--
    if (entry.leases > 0) return
    if (entries.get(key) === entry) entries.delete(key)
    const classifier = await entry.opening.catch(() => null)
    await classifier?.close()
  }

  return {
    async lease(key, openModel) {
      const entry: Entry = entries.get(key) ?? { leases: 0, opening: openModel() }
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
    },
  }
}

/** The file of a name; rejects with CONFIG_INVALID where the name stands for several things. */
async function namedFile(
  name: string,
  known: { readonly config: Config; readonly stateFolder: string | null; readonly isTaught: boolean },
): Promise<ReturnType<typeof modelNamed>> {
  const { config, stateFolder, isTaught } = known
  const installed = stateFolder === null ? null : openBundleStore(stateFolder).serving(name)
  const gallery = stateFolder === null ? null : await galleryModel(stateFolder, name)
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
  const file = installed ?? gallery
  return file === null ? modelNamed(name, config.models.named) : { path: file, labels: undefined }
}

/** One file with one set of labels; links lead to the same one. */
async function keyOf(path: string, labels: string | undefined): Promise<string> {
  const real = await realpath(path).catch(() => path)
  return JSON.stringify([real, labels ?? null])
}

/** What of a wish the node's own model is opened with: its task stays, but it can look at clips. */
const ownWish = ({ task, clip, embedding }: Wish): OwnWish => ({
  ...(task === 'video' ? { task, clip } : {}),
  embedding,
})

/** A zone that was added while the node runs may ask for the embedding of a model that was opened without it. */
const isUnasked = ({ embedding }: Classifier): boolean =>
  'reason' in embedding && embedding.reason === noEmbedding.reason
