/**
 * A taught head at work: a classifier whose engine runs the network that several heads share, and then the head. The head is a
 * small graph of its own, so a new one is put in place without touching the network.
 */
import type { Classifier } from '../classifier.js'
import { noEmbedding, type EmbeddingFacts } from '../classifier/embedding.js'
import { clipDefaults, type ClipOptions } from '../decision/task.js'
import type { Engine, EngineTensor } from '../engine/engine.js'
import { openEngine } from '../engine/select.js'
import { GapcamError } from '../errors.js'
import type { GridPlan } from '../heat/grid-plan.js'
import { clipNames } from '../model/clip-graph.js'
import type { TaskFacts } from '../model/metadata/task-facts.js'
import { cellShares, partLength, partStart, type Part } from './features.js'
import { partName, valueNames } from './graph.js'
import { readHead } from './head-file.js'
import type { Head } from './head.js'
import type { ClipLayout } from './looks.js'
import { openedAs, single } from './opened.js'

/** Which head is served. */
export interface ServedHead {
  readonly file: string
  /** Names the classifier in messages. */
  readonly name: string
  /** Those of the network. */
  readonly parts: readonly Part[]
  /** How the network takes clips; null: it takes pictures. */
  readonly own: ClipLayout | null
  /**
   * Looks at clips: of a network over pictures, the head takes the mean of the vectors of their frames. Default: at single
   * pictures, or at clips as the network takes them.
   */
  readonly clip?: ClipOptions | undefined
}

/**
 * Serves a head on a network that was opened by `openLooker`. Closing the classifier leaves the network open. Rejects with
 * HEAD_INVALID for a head of another network, and for clips that the network does not take.
 */
export async function serveHead(network: Engine, { file, name, parts, own, clip }: ServedHead): Promise<Classifier> {
  const { manifest, model, head } = await readHead(file, parts)
  const small = await openEngine(model, 'auto', { threads: 1 })
  try {
    const task = own ? overClips(own, name, clip ?? {}) : clip ? overTime(clip) : single
    const engine = joined(network, small, { parts, task: task.facts })
    const maps = new Set(parts.map(({ map }) => map.name))
    return openedAs(name, {
      engine: {
        ...engine,
        outputs: [...engine.outputs, ...small.inputs, ...network.outputs.filter((output) => maps.has(output.name))],
      },
      manifest,
      sha256: model.sha256,
      output: valueNames.logits,
      labels: head.states,
      reading: {
        activation: 'softmax',
        quantization: null,
        sentence: 'logits; softmax makes scores of them',
        isCertain: true,
      },
      from: `the taught head ${name}`,
      task,
      heat: task.facts.task === 'video' ? { reason: 'a model with the task video has none' } : heatPlan(head, parts),
      embedding: embeddingIn(parts),
    })
  } catch (error) {
    await small.close()
    throw error
  }
}

/** The mean of the network's last map; the parts of the head's vector are of the same picture, but cut into cells. */
function embeddingIn([part]: readonly Part[]): EmbeddingFacts {
  if (!part) return noEmbedding
  const { name, layout, channels, height, width } = part.map
  return { value: name, layout: height * width === 1 ? null : layout, length: channels }
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
      shares: part.cells === 1 ? null : cellShares(part.map, part.cells),
      mean: mean.subarray(start, end),
      weights: weights.subarray(start * classes, end * classes),
      pooled: partName(i),
    }
  })
  return { grid, classes, extraOutputs: [] }
}

/** What a head is asked, and how that is known. */
interface HeadTask {
  readonly facts: Extract<TaskFacts, { readonly task: 'classify' | 'video' }>
  readonly sentence: string
}

function overClips(
  own: ClipLayout,
  name: string,
  { frames = own.frames, everyMs = own.everyMs, pool }: ClipOptions,
): HeadTask {
  if (frames !== own.frames || pool !== undefined)
    throw new GapcamError(
      'HEAD_INVALID',
      `head ${name}: its network takes clips of ${own.frames} frames; leave ${pool === undefined ? 'frames' : 'pool'} out`,
    )
  return {
    facts: { task: 'video', layout: { ...own, everyMs } },
    sentence: `video: a taught head over clips of ${frames} frames, one every ${everyMs} ms`,
  }
}

function overTime({ frames = clipDefaults.frames, everyMs = clipDefaults.everyMs }: ClipOptions): HeadTask {
  return {
    facts: { task: 'video', layout: { form: 'pooled', frames, everyMs, vectors: [valueNames.raw] } },
    sentence: `video: a taught head on the mean of the vector over ${frames} pictures, one every ${everyMs} ms`,
  }
}

/** Runs the network and then the head, whose inputs are copies of the network's outputs, or means of them over time. */
function joined(
  network: Engine,
  head: Engine,
  { parts, task }: { readonly parts: readonly Part[]; readonly task: HeadTask['facts'] },
): Engine {
  const outputOf = (name: string): Float32Array => floats(network.outputs, name)
  const raw = outputOf(valueNames.raw)
  const isPooled = task.task === 'video' && task.layout.form === 'pooled'
  const overTime = isPooled ? clipMeans(raw, task.layout.frames) : null
  const pairs: (readonly [to: Float32Array, from: Float32Array])[] = [
    [floats(head.inputs, valueNames.sight), outputOf(valueNames.sight)],
  ]
  let start = 0
  parts.forEach((part, i) => {
    const end = start + partLength(part)
    pairs.push([floats(head.inputs, partName(i)), (overTime?.vector ?? raw).subarray(start, end)])
    start = end
  })
  const { preprocessor } = network
  return {
    inputs: [...network.inputs, ...(overTime?.inputs ?? [])],
    outputs: [...head.outputs, ...(overTime?.outputs ?? [])],
    async run() {
      await network.run()
      overTime?.update()
      for (const [to, from] of pairs) to.set(from)
      await head.run()
    },
    ...(preprocessor ? { preprocessor: (spec) => preprocessor.call(network, spec) } : {}),
    describe: () => network.describe(),
    close: () => head.close(),
  }
}

/** The mean of a vector over a clip: the rest of the sum is an input, the vector of the last frame an output. */
function clipMeans(raw: Float32Array, frames: number) {
  const [rest, vector] = [new Float32Array(raw.length), new Float32Array(raw.length)]
  const port = (name: string, data: Float32Array): EngineTensor => ({
    name,
    type: 'float32',
    layout: 'none',
    shape: [1, data.length],
    data,
    inFileOrder: true,
  })
  const share = 1 / frames
  return {
    vector,
    inputs: [port(clipNames.rest(valueNames.raw), rest)],
    outputs: [port(clipNames.vector(valueNames.raw), raw)],
    update() {
      for (let i = 0; i < vector.length; i++) vector[i] = raw[i]! * share + rest[i]!
    },
  }
}

function floats(tensors: Engine['outputs'], name: string): Float32Array {
  const data = tensors.find((tensor) => tensor.name === name)?.data
  if (!(data instanceof Float32Array)) throw new GapcamError('HEAD_INVALID', `there is no value ${name} in the network`)
  return data
}
