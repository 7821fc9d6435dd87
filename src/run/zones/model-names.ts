/** Names of the models that zones of a node can use, besides paths. `models.ts` opens them. */
import { openBundleStore } from '../../bundle/store.js'
import type { Config } from '../../config/schema.js'
import { galleriesIn, galleryModel } from '../../gallery/store.js'
import { headsIn } from '../../teach/names.js'
import { openHeadStore } from '../../teach/store.js'

/**
 * The entries of `models`, the taught heads that serve, the installed bundles with their heads, and the galleries that have
 * a name enrolled, in order. What cannot be read is left out: a zone that names it says why.
 */
export async function modelNames(config: Pick<Config, 'models'>, stateFolder: string): Promise<readonly string[]> {
  const found = await Promise.all([taughtIn(stateFolder), bundlesIn(stateFolder), usableGalleriesIn(stateFolder)])
  return [...new Set([...Object.keys(config.models.named), ...found.flat()])].sort()
}

async function taughtIn(stateFolder: string): Promise<readonly string[]> {
  const names = await headsIn(stateFolder)
  const serving = await Promise.all(
    names.map((name) =>
      openHeadStore(stateFolder, name).then(
        ({ record }) => record.served !== null,
        () => false,
      ),
    ),
  )
  return names.filter((_, i) => serving[i])
}

async function bundlesIn(stateFolder: string): Promise<readonly string[]> {
  try {
    const store = openBundleStore(stateFolder)
    return Object.entries(store.entries()).flatMap(([name, { serving }]) =>
      serving === null ? [] : [name, ...store.manifestOf(serving).heads.map((head) => `${name}/${head.name}`)],
    )
  } catch {
    return []
  }
}

async function usableGalleriesIn(stateFolder: string): Promise<readonly string[]> {
  const names = await galleriesIn(stateFolder)
  const files = await Promise.all(names.map((name) => galleryModel(stateFolder, name).catch(() => null)))
  return names.filter((_, i) => files[i] !== null)
}
