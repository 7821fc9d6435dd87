/** The passes, in the order in which they run. Each is a pure function from graph to graph. */
import type { Graph } from '../graph.js'
import { fuseActivations } from './activation.js'
import { foldBatchNorms } from './batch-norm.js'
import { commuteGap, fuseGap } from './gap.js'
import { fusePads } from './pad.js'
import { recognizePatterns } from './patterns.js'
import { fuseResiduals } from './residual.js'
import { recognizeShuffles } from './shuffle.js'
import { simplify } from './simplify.js'

export const passes: readonly { readonly name: string; readonly run: (graph: Graph) => Graph }[] = [
  { name: 'simplify', run: simplify },
  { name: 'patterns', run: recognizePatterns },
  { name: 'shuffle', run: recognizeShuffles },
  { name: 'pad', run: fusePads },
  { name: 'batch-norm', run: foldBatchNorms },
  { name: 'gap-commute', run: commuteGap },
  { name: 'residual', run: fuseResiduals },
  { name: 'activation', run: fuseActivations },
  { name: 'gap', run: fuseGap },
]
