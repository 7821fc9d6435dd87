/**
 * A taught head at work: a classifier whose engine runs the network that several heads share, and then the head. The head is a
 * small graph of its own, so a new one is put in place without touching the network.
 */
import { classifierOf, type Classifier } from '../classifier.js'
import { noEmbedding, type EmbeddingFacts } from '../classifier/embedding.js'
import { wire } from '../classifier/wiring.js'
import type { Engine } from '../engine/engine.js'
import { openEngine } from '../engine/select.js'
import { GapcamError } from '../errors.js'
import type { GridPlan } from '../heat/grid-plan.js'
import { cellShares, partLength, partStart, type Part } from './features.js'
import { partName, valueNames } from './graph.js'
import { readHead } from './head-file.js'
import type { Head } from './head.js'

/** Which head is served. */
export interface ServedHead {
  readonly file: string
  /** Names the classifier in messages. */
  readonly name: string
  /** Those of the network. */
  readonly parts: readonly Part[]
}

/**
 * Serves a head on a network that was opened by `openLooker`. Closing the classifier leaves the network open. Rejects with
 * HEAD_INVALID for a head of another network.
 */
export async function serveHead(network: Classifier, { file, name, parts }: ServedHead): Promise<Classifier> {
  const { manifest, model, head } = await readHead(file, parts)
  const small = await openEngine(model, 'auto', { threads: 1 })
  try {
    const engine = joined(network.engine, small, parts)
    const maps = new Set(parts.map(({ map }) => map.name))
    const wiring = wire(engine, {
      path: name,
      manifest,
      resize: 'stretch',
      output: valueNames.logits,
      code: undefined,
      task: { task: 'classify' },
    })
    const from = `the taught head ${name}`
    return classifierOf(name, {
      engine: {
        ...engine,
        outputs: [
          ...engine.outputs,
          ...small.inputs,
          ...network.engine.outputs.filter((output) => maps.has(output.name)),
        ],
      },
      wiring,
      facts: {
        sha256: model.sha256,
        manifest,
        code: null,
        task: { task: 'classify' },
        taskSentence: 'classify: it was taught',
        output: valueNames.logits,
        count: head.states.length,
        labels: [...head.states],
        reading: {
          activation: 'softmax',
          quantization: null,
          sentence: 'logits; softmax makes scores of them',
          isCertain: true,
        },
        embedding: embeddingIn(parts),
        assumed: [],
        origins: { size: from, colour: from, scale: from, crop: from, labels: from, scores: from },
        precision: { isHalf: false, sentence: '' },
      },
      heat: heatPlan(head, parts),
      keeping: undefined,
    })
  } catch (error) {
    await small.close()
    throw error
  }
}

/** The mean of the network's last map; the parts of the head's vector are of the same picture, but cut into cells. */
function embeddingIn([part]: readonly Part[]): EmbeddingFacts {
  if (!part) return noEmbedding
  const { name, layout, channels } = part.map
  return { value: name, layout, length: channels }
}

/** The heat maps of the head: the pooled parts are inputs of its small graph, the maps are outputs of the network. */
function heatPlan({ states, mean, weights }: Head, parts: readonly Part[]): GridPlan {
  const classes = states.length
  const grid = parts.map((part, i) => {
    const start = partStart(parts, i)
    const end = start + partLength(part)
    return {
      map: part.map.name,
      layout: part.map.layout,
      shares: cellShares(part.map, part.cells),
      mean: mean.subarray(start, end),
      weights: weights.subarray(start * classes, end * classes),
      pooled: partName(i),
    }
  })
  return { grid, classes, extraOutputs: [] }
}

/** Runs the network and then the head, whose inputs are copies of the network's outputs. */
function joined(network: Engine, head: Engine, parts: readonly Part[]): Engine {
  const outputOf = (name: string): Float32Array => floats(network.outputs, name)
  const raw = outputOf(valueNames.raw)
  const pairs: (readonly [to: Float32Array, from: Float32Array])[] = [
    [floats(head.inputs, valueNames.sight), outputOf(valueNames.sight)],
  ]
  let start = 0
  parts.forEach((part, i) => {
    const end = start + partLength(part)
    pairs.push([floats(head.inputs, partName(i)), raw.subarray(start, end)])
    start = end
  })
  const { preprocessor } = network
  return {
    inputs: network.inputs,
    outputs: head.outputs,
    async run() {
      await network.run()
      for (const [to, from] of pairs) to.set(from)
      await head.run()
    },
    ...(preprocessor ? { preprocessor: (spec) => preprocessor.call(network, spec) } : {}),
    describe: () => network.describe(),
    close: () => head.close(),
  }
}

function floats(tensors: Engine['outputs'], name: string): Float32Array {
  const data = tensors.find((tensor) => tensor.name === name)?.data
  if (!(data instanceof Float32Array)) throw new GapcamError('HEAD_INVALID', `there is no value ${name} in the network`)
  return data
}
