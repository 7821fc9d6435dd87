/**
 * Opens a model from its file: reads and compiles it, and finds what file, manifest and the files beside it say. The result
 * is kept for the next start, which then loads nothing of this.
 */
import type { EngineOptions } from '../engine/engine.js'
import { NativeEngine, type CompiledModel } from '../engine/native.js'
import { sourcesOf, type PlanPlace } from '../engine/plan-cache.js'
import { openEngine, type EngineChoice } from '../engine/select.js'
import { planGrid } from '../heat/grid-plan.js'
import type { HeatPlan } from '../heat/open.js'
import { planHeat } from '../heat/plan.js'
import type { Graph } from '../model/graph.js'
import { loadModel } from '../model/load.js'
import { clipGraph, clipNames } from '../model/clip-graph.js'
import { settleInput } from '../model/metadata/input-shape.js'
import { findManifest, type FoundManifest } from '../model/metadata/manifest.js'
import { scoresValue, type ScoresValue } from '../model/metadata/outputs.js'
import { recogniseTask } from '../model/metadata/task.js'
import type { RecognisedTask } from '../model/metadata/task-facts.js'
import { takesClips } from '../model/metadata/video.js'
import { withGraph, type LoadedModel } from '../model/onnx/onnx.js'
import { onlyOutputs, prepareNative } from '../model/prepare.js'
import { portCodes } from '../model/quantized/code.js'
import { isOther, labelsOfTask, outputsOfTask } from '../task/answer.js'
import type { InputSize } from '../tensor.js'
import { noEmbedding, type EmbeddingFacts } from './embedding.js'
import { planEmbedding } from './embedding-plan.js'
import type { ModelFacts, OpenedModel } from './facts.js'
import { findLabels, labelsFor, type GivenLabels } from './labels.js'
import type { ClassifierOptions } from './options.js'
import { originsOf } from './origins.js'
import { judgePrecision } from './precision.js'
import { readingFor } from './reading.js'
import { notClassifier, otherTask, wire } from './wiring.js'

/** Opens a model from its file, and keeps it in its place. Rejects with MODEL_*, LABELS_MISMATCH, MANIFEST_INVALID or ENGINE_*. */
export async function surveyModel(options: ClassifierOptions, place: PlanPlace | null): Promise<OpenedModel> {
  const file = options.loaded ?? (await loadModel(options.model, place?.bytes))
  const ownManifest = await findManifest(file)
  const given = await findLabels(options, ownManifest)
  const settled = settleInput(file, ownManifest.manifest, options)
  const { inputSize, assumed } = settled
  const { output } = ownManifest.manifest
  const { graph } = prepareNative(withNamed(settled.model.graph, output), { inputSize })
  const task = taskOf(settled.model, graph, { asked: options.task, clip: options.clip, found: ownManifest, given })
  const model = onClips(settled.model, graph, task)
  const found = { ...ownManifest, manifest: { ...task.recipe, ...ownManifest.manifest } }
  const answer = answerFor(task, () => chooseScores(model, graph, { output, labels: given?.labels.length }))
  const {
    model: _path,
    loaded: _loaded,
    engine: choice = 'auto',
    labels: _labels,
    resize: _resize,
    heat: _heat,
    embedding: _embedding,
    task: _task,
    clip: _clip,
    planCache: _planCache,
    ...engineOptions
  } = options
  const { heat, embedding, extra } = besides(model, options, { found, inputSize, task, scores: answer.scores })
  const wanted = {
    ...engineOptions,
    outputs: answer.outputs,
    hasOpenOutputs: answer.scores === null,
    inputSize,
    extraOutputs: extra,
    byteInputs: true,
  }
  const parts = {
    options,
    model,
    fileGraph: file.graph,
    graph,
    found,
    given,
    task,
    scores: answer.scores,
    embedding,
    assumed,
  }
  const open = (precision: ClassifierOptions['precision']) =>
    openSurveyed(model, choice, { ...wanted, precision }, parts)
  let opened = await open(options.precision)
  try {
    const precision =
      options.precision === 'auto' ? await judgePrecision(opened, { model, wanted, isKept: place !== null }) : unasked
    if (precision.isHalf) {
      await opened.engine.close()
      opened = await open('fp16')
    }
    const { engine, compiled, wiring } = opened
    if (precision.sentence !== '' && engine instanceof NativeEngine) engine.remark(precision.sentence)
    const known = { wiring, facts: { ...opened.facts, precision } }
    const keeping = place && compiled && keep(place, compiled, { ...known, heat }, { model, given })
    return { engine, ...known, heat, keeping: keeping ?? undefined }
  } catch (error) {
    await opened.engine.close()
    throw error
  }
}

/** What the engine is to give besides the outputs of the task. */
function besides(
  model: LoadedModel,
  { heat: wantsHeat, embedding: wantsEmbedding, extraOutputs = [] }: ClassifierOptions,
  known: Pick<Parts, 'found' | 'task' | 'scores'> & { readonly inputSize: InputSize | undefined },
): {
  readonly heat: OpenedModel['heat']
  readonly embedding: EmbeddingFacts
  readonly extra: readonly string[]
} {
  const { found, inputSize, task, scores } = known
  const { labels, novelty } = found.manifest
  const heat =
    scores === null || task.facts.task === 'video'
      ? { reason: `a model with the task ${task.facts.task} has none` }
      : wantsHeat
        ? (planGrid(model.graph, labels?.length ?? 0) ?? planHeat(model, inputSize, scores.name))
        : { reason: 'heat maps were not asked for when the model was opened' }
  const embedding = wantsEmbedding
    ? planEmbedding(model, { manifest: found.manifest, inputSize, scores: scores?.name ?? null })
    : noEmbedding
  const extra = [
    ...extraOutputs,
    ...(novelty ? [novelty.output] : []),
    ...('reason' in heat ? [] : heat.extraOutputs),
    ...('value' in embedding ? [embedding.value] : []),
  ]
  return { heat, embedding, extra: [...new Set(extra)] }
}

/** An engine with what it was opened for. */
type Surveyed = Pick<OpenedModel, 'engine' | 'wiring'> & {
  readonly facts: Omit<OpenedModel['facts'], 'precision'>
  readonly compiled: CompiledModel | undefined
}

const unasked: ModelFacts['precision'] = { isHalf: false, sentence: '' }

async function openSurveyed(
  model: LoadedModel,
  choice: EngineChoice,
  wanted: EngineOptions,
  parts: Parts,
): Promise<Surveyed> {
  let compiled: CompiledModel | undefined
  const engine = await openEngine(model, choice, wanted, (made) => {
    compiled = made
  })
  try {
    return { engine, compiled, ...(await factsOf(engine, parts)) }
  } catch (error) {
    await engine.close()
    throw error
  }
}

/** The graph with the inner value that a manifest names as its output. */
function withNamed(graph: Graph, name: string | undefined): Graph {
  const isMade = name !== undefined && graph.nodes.some(({ outputs }) => outputs.includes(name))
  return isMade ? onlyOutputs(graph, [name]) : graph
}

/** The task. Throws MODEL_UNSUPPORTED where the network's is not understood. */
function taskOf(
  model: LoadedModel,
  graph: Graph,
  known: Pick<Parts, 'found' | 'given'> & {
    readonly asked: ClassifierOptions['task']
    readonly clip: ClassifierOptions['clip']
  },
): RecognisedTask {
  const { found, given, asked, clip } = known
  const hints = {
    manifest: found.manifest,
    metadata: model.metadata,
    labels: (given?.labels ?? found.ownLabels)?.length,
    clip,
  }
  const task = recogniseTask(graph, hints, asked)
  if ('reason' in task)
    throw otherTask(model.path, takesClips(graph) ? 'video' : (asked ?? found.manifest.task ?? 'detect'), task.reason)
  return task
}

/** A model that looks at clips, with the inputs that clips need. Throws MODEL_UNSUPPORTED where it cannot have them. */
function onClips(model: LoadedModel, prepared: Graph, { facts }: RecognisedTask): LoadedModel {
  if (facts.task !== 'video') return model
  const graph = clipGraph(model.graph, prepared, facts.layout)
  if ('reason' in graph) throw otherTask(model.path, 'video', graph.reason)
  return withGraph(model, graph, true)
}

/** The outputs of a task; `choose` finds those of a classifier. */
function answerFor(
  { facts }: RecognisedTask,
  choose: () => ScoresValue,
): { readonly scores: ScoresValue | null; readonly outputs: readonly string[] } {
  if (isOther(facts)) return { scores: null, outputs: outputsOfTask(facts) }
  const scores = choose()
  const vectors = facts.task === 'video' && facts.layout.form === 'pooled' ? facts.layout.vectors : []
  return { scores, outputs: [scores.name, ...vectors.map(clipNames.vector)] }
}

/** The value with the scores. Throws MODEL_UNSUPPORTED for a model that is no classifier. */
function chooseScores(
  model: LoadedModel,
  graph: Graph,
  hints: { readonly output: string | undefined; readonly labels: number | undefined },
): ScoresValue {
  const [batch] = graph.inputs[0]?.shape ?? []
  const scores = scoresValue(graph, hints, typeof batch === 'number' ? batch : 1)
  if ('reason' in scores) throw notClassifier(model.path, scores.reason)
  return scores
}

/** What is known when the engine is open. */
interface Parts {
  readonly options: ClassifierOptions
  readonly model: LoadedModel
  /** As the file has it. */
  readonly fileGraph: Graph
  /** Prepared for the native engine. */
  readonly graph: Graph
  readonly found: FoundManifest
  readonly given: GivenLabels | null
  readonly task: RecognisedTask
  /** Of a classifier; null for another task. */
  readonly scores: ScoresValue | null
  readonly embedding: EmbeddingFacts
  /** What was assumed to open the engine. */
  readonly assumed: readonly string[]
}

async function factsOf(engine: OpenedModel['engine'], parts: Parts): Promise<Pick<Surveyed, 'wiring' | 'facts'>> {
  const { options, model, graph, found, scores, task } = parts
  const { manifest } = found
  const code = portCodes(graph).get(engine.inputs[0]?.name ?? '')
  const wiring = wire(engine, {
    path: model.path,
    manifest,
    resize: options.resize,
    output: scores?.name ?? '',
    task: task.facts,
    code,
  })
  const { picture, count } = wiring
  const { labels, notices, origin } = labelsOf(parts, count)
  const reading = scores ? await readingFor({ ...wiring, graph, scores, found, engine }) : takenAsTheyAre
  const facts: Surveyed['facts'] = {
    sha256: model.sha256,
    manifest,
    code: code ?? null,
    task: task.facts,
    taskSentence: task.sentence,
    output: wiring.output.name,
    count,
    labels: [...labels],
    reading,
    embedding: parts.embedding,
    assumed: [
      ...(model.assumed ?? []),
      ...parts.assumed,
      ...picture.assumed,
      ...(reading.isCertain ? [] : [`outputs are ${reading.sentence}`]),
      ...(scores && scores.rivals.length > 0 ? [rivalSentence(scores)] : []),
      ...found.notices,
      ...notices,
    ],
    origins: originsOf({ ...parts, graph: parts.fileGraph, picture, labels: origin, scores: reading.sentence }),
  }
  return { wiring, facts }
}

const rivalSentence = ({ name, rivals }: ScoresValue): string =>
  `its output ${name} has the classes (${rivals.join(', ')} may have them, too; output in its manifest names one)`

/** The labels of so many scores. */
function labelsOf({ given, found, scores, task }: Parts, count: number): ReturnType<typeof labelsFor> {
  if (!isOther(task.facts)) return labelsFor(given, scores?.labels ?? found.ownLabels, count)
  const named = labelsFor(given, found.ownLabels, task.facts.layout.classCount)
  return { ...named, labels: labelsOfTask(task.facts, named.labels) }
}

/** Scores of a task that is not to classify are probabilities. */
const takenAsTheyAre: ModelFacts['reading'] = {
  activation: 'none',
  quantization: null,
  sentence: 'the scores of what is found',
  isCertain: true,
}

/** A table of a head's weights beyond this is larger than the models that it is for. */
const mostTableBytes = 32 * 2 ** 20

/** Keeps the compiled model, unless its head has too many weights. */
async function keep(
  place: PlanPlace,
  compiled: CompiledModel,
  { facts, heat }: Pick<OpenedModel, 'facts' | 'heat'>,
  { model, given }: Pick<Parts, 'model' | 'given'>,
): Promise<void> {
  // The maps of a taught head need more than a table; its network is small enough to be compiled again.
  if ('grid' in heat) return
  const table = 'head' in heat ? tableOf(heat) : null
  if (table && table.byteLength > mostTableBytes) return
  const kept: ModelFacts = { ...facts, heat: 'head' in heat ? headFacts(heat) : heat }
  const bytes = table && new Uint8Array(table.buffer)
  await place.keep({ compiled, facts: kept, table: bytes }, sourcesOf(model), given ? [given.origin] : [])
}

const headFacts = ({ head, classes }: HeatPlan): ModelFacts['heat'] => ({
  map: head.map,
  layout: head.layout,
  classes,
  channels: head.weights(0).length,
})

/** The weights of every class, one after the other. */
function tableOf({ head, classes }: HeatPlan): Float32Array<ArrayBuffer> {
  const channels = head.weights(0).length
  const table = new Float32Array(channels * 4 * classes > mostTableBytes ? mostTableBytes : channels * classes)
  if (table.length === channels * classes) for (let i = 0; i < classes; i++) table.set(head.weights(i), i * channels)
  return table
}
