/** The node's own model as it is opened: from a file or a bundle, with a candidate behind it where one is compared. */
import { openClassifier, type Classifier } from '../../classifier.js'
import type { Config } from '../../config/schema.js'
import type { Logger } from '../../log.js'
import { asksOwnEmbedding } from '../../zone/definition.js'
import { openOwnShadow } from './service.js'
import type { NodeBundles } from './bundles.js'
import { ownModelOptions } from './ordinary-model.js'
import type { Shadow } from './shadow.js'

export interface OwnModel {
  readonly classifier: Classifier
  /** The comparison with a candidate; its `classifier` is the one that zones use. Null where there is none. */
  readonly shadow: Shadow | null
  close(): Promise<void>
}

/** Opens the model. Rejects as `openClassifier` does, after a bundle on probation was rolled back. */
export async function openOwnModel(
  config: Config,
  bundles: NodeBundles,
  log: Pick<Logger, 'debug' | 'info' | 'warn'>,
): Promise<OwnModel> {
  const classifier = await bundles.open(async () => {
    const { planCache, ...options } = await ownModelOptions(config, log)
    return openClassifier({
      ...options,
      planCache: planCache && { ...planCache, onNote: (sentence) => log.debug(sentence) },
      heat: config.heat,
      embedding: asksOwnEmbedding(config.cameras),
      onFault: (sentence) => log.warn(sentence),
    })
  })
  const shadow = await openOwnShadow(config, bundles, classifier, log)
  return {
    classifier,
    shadow,
    async close() {
      await shadow?.close()
      await classifier.close()
    },
  }
}
