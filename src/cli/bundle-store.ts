/** The store of bundles that a configuration means, and whose signatures it trusts. */
import { readPublicKey } from '../bundle/signature.js'
import { openBundleStore, type BundleStore } from '../bundle/store.js'
import type { Trust } from '../bundle/trust.js'
import type { Config } from '../config/schema.js'
import { stateDirectory } from '../config/state-directory.js'

/** The bundles of the configured node. */
export const storeOf = (config: Config): BundleStore => openBundleStore(stateDirectory(config))

/** The keys of `models.trust`. Throws KEY_INVALID for one that cannot be read. */
export function trustOf({ models: { trust, revoked } }: Config): Trust {
  return { keys: trust.map(readPublicKey), revoked }
}
