/** The passes in the order in which they run. Each is a pure function from graph to graph. */
import type { Graph } from '../graph.js'
import { recognizeIntegers } from '../quantized/integers.js'
import { fuseActivations } from './activation.js'
import { foldBatchNorms } from './batch-norm.js'
import { mergeClips } from './clip.js'
import { hoistAboveConcat } from './concat.js'
import { convolveNorms } from './depthwise.js'
import { commuteGap, fuseGap } from './gap.js'
import { recognizeLayerNorms } from './layer-norm.js'
import { foldMatrices } from './matrix.js'
import { recognizeMeans } from './mean.js'
import { fusePads } from './pad.js'
import { mergeParallel } from './parallel.js'
import { recognizePatterns } from './patterns.js'
import { makePlanar } from './planar.js'
import { commutePools } from './pool.js'
import { fuseResiduals } from './residual.js'
import { joinShuffles, recognizeShuffles } from './shuffle.js'
import { simplify } from './simplify.js'
import { dropTaps } from './taps.js'
import { sinkTransposes } from './transpose.js'

/** `gapcam model passes` prints the names. */
export const passes: readonly { readonly name: string; readonly run: (graph: Graph) => Graph }[] = [
  { name: 'simplify', run: simplify },
  // Reduce the variants that exporters write to one form.
  { name: 'planar', run: makePlanar },
  { name: 'shuffle', run: recognizeShuffles },
  { name: 'transpose', run: (graph) => joinShuffles(simplify(sinkTransposes(graph))) },
  { name: 'clip', run: mergeClips },
  { name: 'mean', run: recognizeMeans },
  { name: 'patterns', run: recognizePatterns },
  { name: 'layer-norm', run: recognizeLayerNorms },
  { name: 'pad', run: fusePads },
  { name: 'taps', run: dropTaps },
  // What runs on bytes leaves the other passes' sight.
  { name: 'integers', run: recognizeIntegers },
  // Fold linear maps into each other.
  { name: 'batch-norm', run: foldBatchNorms },
  { name: 'concat', run: hoistAboveConcat },
  { name: 'depthwise', run: convolveNorms },
  { name: 'parallel', run: mergeParallel },
  { name: 'pool', run: commutePools },
  { name: 'gap-commute', run: commuteGap },
  { name: 'matrix', run: foldMatrices },
  // Fuse what a kernel does with its result before storing it.
  { name: 'residual', run: fuseResiduals },
  { name: 'activation', run: fuseActivations },
  { name: 'gap', run: fuseGap },
]
