/** `gapcam model info|passes|compile|convert`: describes a model, prints its passes, writes its plan or its ONNX form; the other words of `model` are in model-*.ts. */
import { writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import type { EngineDescription } from '../engine/engine.js'
import { openEngine } from '../engine/select.js'
import { GapcamError, messageOf, writeFaultOf } from '../errors.js'
import { fusedActivation } from '../model/activation.js'
import { bytesHere } from '../engine/bytes.js'
import { compilePlan } from '../model/compile.js'
import type { Graph } from '../model/graph.js'
import { loadModel } from '../model/load.js'
import type { LoadedModel } from '../model/onnx/onnx.js'
import { serializePlan } from '../model/plan.js'
import { prepareNative } from '../model/prepare.js'
import { reportModel, type ModelReport } from '../model/report.js'
import type { InputSize } from '../tensor.js'
import { addModelBundle } from './model-bundle.js'
import { addModelCheck } from './model-check.js'
import { addModelInstall } from './model-install.js'
import { addFlag, inputSizeFrom, type FlagValues } from './flags.js'
import { wantsJson, writeJson, writeTable } from './output.js'
import { openClassifier } from '../classifier.js'
import { settledModel } from '../model/metadata/input-shape.js'

/** Registers the command. */
export function modelCommand(program: Command): void {
  const model = program
    .command('model')
    .description('inspect, compile, convert or check a model; pack and install bundles')
  const add = (name: string, description: string): Command =>
    addFlag(
      model.command(name).description(description).argument('<file>', 'ONNX or TFLite file, or a zip archive with one'),
      'inputSize',
    )
  add('info', 'print inputs, operators, parameters, memory, head, and the step that each node became')
    .option('--json', 'one JSON object')
    .action(async (file: string, values: FlagValues) => {
      const { loaded, size } = await load(file, values)
      const { scores, engine } = await classifierFor(file, size)
      const report = {
        ...reportModel(loaded, size, bytesHere()),
        engine: engine ?? (await engineFor(loaded, size)),
        scores,
      }
      if (wantsJson(values['json'] === true)) writeJson(report)
      else writeReport(report)
    })
  add('passes', 'print the graph after each pass of the compiler').action(async (file: string, values: FlagValues) => {
    const { loaded, size } = await load(file, values)
    const compiled = compilePlan(prepareNative(loaded.graph, { inputSize: size }), {
      bytes: bytesHere(),
      onPass: writeGraph,
    })
    if ('unsupported' in compiled)
      for (const { node, op, reason } of compiled.unsupported) process.stderr.write(`${op} ${node}: ${reason}\n`)
  })
  add('compile', 'write the plan that the native engine runs')
    .requiredOption('-o, --output <file>', 'file for the plan')
    .action(async (file: string, values: FlagValues) => {
      const { loaded, size } = await load(file, values)
      await compileTo(String(values['output']), loaded, size)
    })
  add('convert', 'write a TFLite model, or the model in a zip archive, as ONNX')
    .requiredOption('-o, --output <file>', 'the ONNX file to write')
    .action(async (file: string, values: FlagValues) => {
      const { bytes, isConverted } = await loadModel(file)
      if (!isConverted) throw new GapcamError('USAGE', `model ${file} is an ONNX file already`)
      await write(String(values['output']), bytes)
    })
  addModelCheck(model)
  addModelBundle(model)
  addModelInstall(model)
}

async function load(
  file: string,
  values: FlagValues,
): Promise<{ readonly loaded: LoadedModel; readonly size: InputSize | undefined }> {
  const { model, inputSize } = await settledModel(await loadModel(file), inputSizeFrom(values))
  return { loaded: model, size: inputSize }
}

async function compileTo(
  output: string,
  { graph, path }: LoadedModel,
  inputSize: InputSize | undefined,
): Promise<void> {
  const compiled = compilePlan(prepareNative(graph, { inputSize }), { bytes: bytesHere() })
  if ('unsupported' in compiled) {
    const [first] = compiled.unsupported
    throw new GapcamError('MODEL_UNSUPPORTED', `model ${path}: ${first?.op} (${first?.node}): ${first?.reason}`)
  }
  await write(output, serializePlan(compiled.plan))
}

async function write(output: string, bytes: Uint8Array): Promise<void> {
  try {
    await writeFile(output, bytes)
  } catch (error) {
    throw new GapcamError('USAGE', `--output: ${output} cannot be written: ${writeFaultOf(error)}`, {
      hint: 'Name a file in a folder that you may write.',
    })
  }
}

type EngineReport = EngineDescription | { readonly reason: string }

/** How `gapcam` reads the model as a classifier, or why it is none. */
type ScoresReport =
  | {
      /** What it answers, and how that is known. */
      readonly task: string
      /** The value that is read, and what turns it into scores. */
      readonly output: string
      readonly activation: string
      readonly reading: string
      readonly labels: number
      readonly assumed: readonly string[]
    }
  | { readonly reason: string }

async function classifierFor(
  file: string,
  inputSize: InputSize | undefined,
): Promise<{ readonly scores: ScoresReport; readonly engine: EngineDescription | null }> {
  try {
    const classifier = await openClassifier({ model: file, inputSize })
    const { output, reading, labels, assumed, engine, taskSentence: task } = classifier
    const { activation, sentence } = reading
    const scores = { task, output: output.name, activation, reading: sentence, labels: labels.length, assumed }
    const description = engine.describe()
    await classifier.close()
    return { scores, engine: description }
  } catch (error) {
    if (!(error instanceof GapcamError)) throw error
    return { scores: { reason: error.message }, engine: null }
  }
}

function scoresRows(scores: ScoresReport): [string, string][] {
  if ('reason' in scores) return [['scores', `none: ${scores.reason}`]]
  const { task, output, activation, reading, labels, assumed } = scores
  const how = activation === 'none' ? 'taken as they are' : `turned into scores by ${activation}`
  return [
    ['task', task],
    ['scores', `output ${output}: ${reading}; ${how}; ${labels} ${labels === 1 ? 'label' : 'labels'}`],
    ...assumed.map((text): [string, string] => ['assumed', text]),
  ]
}

/** The engine that `auto` chooses for the model on this machine, or why none can run it. */
async function engineFor(model: LoadedModel, inputSize: InputSize | undefined): Promise<EngineReport> {
  try {
    const engine = await openEngine(model, 'auto', { inputSize })
    const description = engine.describe()
    await engine.close()
    return description
  } catch (error) {
    return { reason: messageOf(error) }
  }
}

function writeReport(report: ModelReport & { readonly engine: EngineReport; readonly scores: ScoresReport }): void {
  const port = ({ name, type, shape }: ModelReport['inputs'][number]): string => `${name} ${type} [${shape.join(', ')}]`
  const megabytes = (bytes: number | null): string => (bytes === null ? '' : `${(bytes / 1e6).toFixed(2)} MB`)
  const { head } = report
  writeTable([
    ['file', report.file],
    ['sha256', report.sha256],
    ['producer', report.producer],
    ['opset', String(report.opset)],
    ...report.inputs.map((input) => ['input', port(input)]),
    ...report.outputs.map((output) => ['output', port(output)]),
    ['parameters', report.parameters.toLocaleString('en')],
    ['multiply-adds', report.macs?.toLocaleString('en') ?? 'unknown'],
    [
      'native engine',
      report.native
        ? `yes, ${report.steps} steps: ${Object.entries(report.stepKinds ?? {})
            .map(([kind, count]) => `${kind} ${count}`)
            .join(', ')}`
        : 'no',
    ],
    ['engine here', engineSentence(report.engine)],
    ...('rejected' in report.engine ? report.engine.rejected.map(({ name, reason }) => [`not ${name}`, reason]) : []),
    ...(report.native
      ? [['arena', `${megabytes(report.arenaBytes)}, lower bound ${megabytes(report.arenaLowerBoundBytes)}`]]
      : []),
    ['head', headSentence(head)],
    ...scoresRows(report.scores),
    [
      'operators',
      Object.entries(report.operators)
        .map(([op, count]) => `${op} ${count}`)
        .join(', '),
    ],
  ])
  process.stdout.write('\n')
  writeTable([
    ['node', 'operator', 'step'],
    ...report.nodes.map(({ node, op, steps, reason }) => [
      node,
      op,
      reason ?? (steps.length > 0 ? steps.join(', ') : 'no separate step'),
    ]),
  ])
}

function engineSentence(engine: EngineReport): string {
  return 'engine' in engine
    ? `${engine.engine} ${engine.target}${engine.cuda ? ` on ${engine.cuda.device}` : ''}: ${engine.reason}`
    : `none: ${engine.reason}`
}

function headSentence({ kind, parameters, otherKindParameters }: ModelReport['head']): string {
  if (kind === 'other') return 'neither global average pooling nor a flattened layer'
  const [own, other] =
    kind === 'gap'
      ? ['global average pooling', 'a flattened fully connected head']
      : ['flattened, fully connected', 'global average pooling']
  const count = (value: number | null): string => value?.toLocaleString('en') ?? 'unknown'
  return `${own}: ${count(parameters)} parameters; ${other} would have ${count(otherKindParameters)}`
}

function writeGraph(pass: string, graph: Graph): void {
  process.stdout.write(`\n# ${pass}: ${graph.nodes.length} nodes\n`)
  for (const node of graph.nodes) {
    const shape = graph.values.get(node.outputs.find((name) => name !== '') ?? '')?.shape
    const { activation } = fusedActivation(node)
    const fused = activation === 'none' ? '' : ` + ${activation}`
    process.stdout.write(
      `${node.op}${fused} ${node.name}: ${node.inputs.filter((name) => name !== '').join(', ')} -> ${node.outputs.filter((name) => name !== '').join(', ')} [${shape?.join(', ') ?? ''}]\n`,
    )
  }
}
