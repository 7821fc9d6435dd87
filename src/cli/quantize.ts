/** `gapcam quantize MODEL --pictures DIR -o OUT`: an 8-bit copy of a float model, and how near it is to the original. */
import { writeFile } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Command } from 'commander'
import { picturesIn } from '../camera/pictures.js'
import { openClassifier, type Classifier } from '../classifier.js'
import { modelOptions } from '../config/model.js'
import { GapcamError, writeFaultOf } from '../errors.js'
import { frameOf } from '../frame.js'
import { manifestMetadata, type Manifest } from '../model/metadata/schema.js'
import { loadModel } from '../model/load.js'
import { serializeModel } from '../model/onnx/serialize.js'
import { decodeFile } from '../pixels/decode.js'
import { createPreprocessor } from '../pixels/preprocess.js'
import { demandFloat, graphToQuantize } from '../quantize/prepare.js'
import { isGood, leastQuality, quantizeModel, type Quantized } from '../quantize/quantize.js'
import { addFlags, configFrom, type FlagValues } from './flags.js'
import { wantsJson, writeJson } from './output.js'
import type { PreprocessSpec } from '../pixels/spec.js'
import { imageLayout } from '../tensor.js'
import { startProgressBar } from './progress-bar.js'

/** Half of the pictures calibrate, and 32 are enough for that. */
const defaultPictures = 64

/** Registers the command. */
export function quantizeCommand(program: Command): void {
  const command = program
    .command('quantize')
    .description('write an 8-bit copy of a float model, calibrated on pictures')
    .argument('<model>', 'an ONNX file in float32')
  addFlags(command, ['inputSize', 'threads', 'json', 'logLevel'])
    .requiredOption('--pictures <dir>', 'pictures as the camera sees them; half of them calibrate, half of them judge')
    .requiredOption('-o, --output <file>', 'the ONNX file to write')
    .option('--most <n>', 'use at most this many pictures', String(defaultPictures))
    .action(async (model: string, values: FlagValues) => {
      const { config } = configFrom({ ...values, model })
      const classifier = await openClassifier(modelOptions(config))
      try {
        await quantizeFile(model, classifier, values)
      } finally {
        await classifier.close()
      }
    })
}

async function quantizeFile(path: string, classifier: Classifier, values: FlagValues): Promise<void> {
  const [pictures, output, most] = [values['pictures'] as string, values['output'] as string, Number(values['most'])]
  if (!(most >= 4))
    throw new GapcamError('USAGE', `--most: expected a number of at least 4 but received ${String(values['most'])}`)
  const loaded = await loadModel(path)
  demandFloat(loaded)
  const { height, width } = classifier.preprocessing()
  const graph = graphToQuantize(loaded, { height, width })
  const layout = imageLayout(graph.inputs[0]?.shape ?? []) === 'nhwc' ? 'nhwc' : 'nchw'
  const inputs = await inputsOf(pictures, most, { ...classifier.preprocessing(), layout, type: 'float32' })
  const progress = startProgressBar('layers', 1)
  let result: Quantized
  try {
    result = await quantizeModel({
      graph,
      path,
      calibrating: inputs.filter((_, i) => i % 2 === 0),
      judging: inputs.filter((_, i) => i % 2 === 1),
      engine: {},
      onProgress: (_, share) => progress.update(share),
    })
  } finally {
    progress.stop()
  }
  const { quality, reverted, layers } = result
  if (!isGood(quality))
    throw new GapcamError(
      'MODEL_UNSUPPORTED',
      `${basename(path)}: ${sentenceOf(result)}; wanted are ${leastQuality.agreement * 100} % and ${leastQuality.sqnrDb} dB`,
    )
  const bytes = serializeModel(result.graph, manifestMetadata(manifestOf(classifier)))
  await writeFile(output, bytes).catch((error: unknown) => {
    throw new GapcamError('USAGE', `--output: ${output} cannot be written: ${writeFaultOf(error)}`)
  })
  if (wantsJson(values['json'] as boolean | undefined))
    writeJson({ output, pictures: inputs.length, layers, reverted, ...quality })
  else process.stdout.write(`${output}: ${sentenceOf(result)}\n`)
}

function sentenceOf({ quality: { agreement, sqnrDb }, reverted, layers }: Quantized): string {
  const float = reverted.length === 0 ? 'all in 8 bits' : `${reverted.length} of them in float (${reverted.join(', ')})`
  return `${layers} layers, ${float}; the best class agrees on ${(agreement * 100).toFixed(1)} % of the pictures that did not calibrate, signal to noise ${sqnrDb.toFixed(1)} dB`
}

/** What the 8-bit file must say of itself, since files beside the original have the original's name. */
function manifestOf({ labels, preprocessing }: Classifier): Manifest {
  const { mean, std, order, resize } = preprocessing()
  const isNamed = labels.some((label, i) => label !== `class ${i}`)
  return { mean: [...mean], std: [...std], colorOrder: order, resize, ...(isNamed ? { labels: [...labels] } : {}) }
}

/** Pictures as network inputs in the order of the file, evenly chosen from the folder. */
async function inputsOf(folder: string, most: number, spec: PreprocessSpec): Promise<Float32Array[]> {
  const files = await picturesIn(folder)
  if (files.length < 4)
    throw new GapcamError(
      'PICTURE_INVALID',
      `${folder}: ${files.length} pictures are too few; quantizing needs 4, and 64 are better`,
    )
  const chosen = files.filter(
    (_, i) => Math.floor((i * most) / files.length) !== Math.floor(((i - 1) * most) / files.length),
  )
  const pass = createPreprocessor(spec)
  try {
    const inputs: Float32Array[] = []
    for (const file of chosen) {
      const input = new Float32Array(3 * spec.height * spec.width)
      await pass.run(frameOf(await decodeFile(file)), input)
      inputs.push(input)
    }
    return inputs
  } finally {
    pass.close()
  }
}
