/** `gapcam model info|passes|compile`: what a model is, what the compiler makes of it, and the plan as a file. */
import { writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import type { EngineDescription } from '../engine/engine.js'
import { openEngine } from '../engine/select.js'
import { GapcamError, messageOf } from '../errors.js'
import { compilePlan } from '../model/compile.js'
import type { Graph } from '../model/graph.js'
import { loadModel, type LoadedModel } from '../model/onnx/onnx.js'
import { serializePlan } from '../model/plan.js'
import { prepareNative } from '../model/prepare.js'
import { reportModel, type ModelReport } from '../model/report.js'
import type { InputSize } from '../tensor.js'
import { configFrom, type FlagValues } from './flags.js'
import { wantsJson, writeJson, writeTable } from './output.js'
import { sizeFor } from '../model/metadata/manifest.js'

export function modelCommand(program: Command): void {
  const model = program.command('model').description('look into an ONNX model')
  model
    .command('info')
    .description('inputs, operators, parameters, memory, head, and the step that each node became')
    .argument('<file>')
    .option('--input-size <side|HxW>', 'input of the network where the model allows it')
    .option('--json', 'one JSON object')
    .action(async (file: string, values: FlagValues) => {
      const loaded = await loadModel(file)
      const size = await sizeFor(loaded, askedSize(values))
      const report = { ...reportModel(loaded, size), engine: await engineFor(loaded, size) }
      if (wantsJson(values['json'] === true)) writeJson(report)
      else writeReport(report)
    })
  model
    .command('passes')
    .description('the graph after each pass of the compiler')
    .argument('<file>')
    .option('--input-size <side|HxW>', 'input of the network where the model allows it')
    .action(async (file: string, values: FlagValues) => {
      const loaded = await loadModel(file)
      const size = await sizeFor(loaded, askedSize(values))
      const compiled = compilePlan(prepareNative(loaded.graph, { inputSize: size }), { onPass: writeGraph })
      if ('unsupported' in compiled)
        for (const { node, op, reason } of compiled.unsupported) process.stderr.write(`${op} ${node}: ${reason}\n`)
    })
  model
    .command('compile')
    .description('write the plan that the native engine runs')
    .argument('<file>')
    .requiredOption('-o, --output <file>', 'where the plan goes')
    .option('--input-size <side|HxW>', 'input of the network where the model allows it')
    .action(async (file: string, values: FlagValues) => {
      const loaded = await loadModel(file)
      const size = await sizeFor(loaded, askedSize(values))
      const compiled = compilePlan(prepareNative(loaded.graph, { inputSize: size }))
      if ('unsupported' in compiled) {
        const [first] = compiled.unsupported
        throw new GapcamError('MODEL_UNSUPPORTED', `model ${file}: ${first?.op} (${first?.node}): ${first?.reason}`)
      }
      await writeFile(String(values['output']), serializePlan(compiled.plan))
    })
}

type EngineReport = EngineDescription | { readonly reason: string }

/** The engine that `auto` takes for the model here and why, or why none can serve. */
async function engineFor(model: LoadedModel, inputSize: InputSize | undefined): Promise<EngineReport> {
  try {
    const engine = await openEngine(model, 'auto', inputSize ? { inputSize } : {})
    const description = engine.describe()
    await engine.close()
    return description
  } catch (error) {
    return { reason: messageOf(error) }
  }
}

const askedSize = ({ inputSize }: FlagValues): InputSize | undefined =>
  configFrom(inputSize === undefined ? {} : { inputSize }).config.inputSize

function writeReport(report: ModelReport & { readonly engine: EngineReport }): void {
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
      reason ?? (steps.length > 0 ? steps.join(', ') : 'no step of its own'),
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
    const fused = node.attributes['gapcam.activation']
    const activation = fused?.kind === 'string' ? ` + ${fused.value}` : ''
    process.stdout.write(
      `${node.op}${activation} ${node.name}: ${node.inputs.filter((name) => name !== '').join(', ')} -> ${node.outputs.filter((name) => name !== '').join(', ')} [${shape?.join(', ') ?? ''}]\n`,
    )
  }
}
