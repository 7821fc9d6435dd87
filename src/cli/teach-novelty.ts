/** `gapcam teach novelty DIR --model FILE -o FILE`: a model that was not taught here gets an eye for what is unlike its pictures. */
import { modelOptions } from '../config/model.js'
import type { Config } from '../config/schema.js'
import { mostOrdinary, withOrdinary } from '../teach/ordinary.js'
import { wantsJson, writeJson } from './output.js'
import { startProgressBar } from './progress-bar.js'
import { picturesOf, writeOutput } from './teach-folders.js'

/** Writes the model. Rejects as `withOrdinary` and `writeOutput` do. */
export async function addNovelty(config: Config, folder: string, output: string): Promise<void> {
  const { model, threads, inputSize } = modelOptions(config)
  const files = await picturesOf(folder)
  if (files.length > mostOrdinary)
    process.stderr.write(`${files.length} pictures: ${mostOrdinary} of them, evenly spread, are enough\n`)
  const progress = startProgressBar('pictures', Math.min(files.length, mostOrdinary))
  const { bytes, limits, pictures } = await withOrdinary({
    model,
    pictures: files,
    engine: { threads, inputSize },
    onPicture: (done) => progress.update(done),
    onBroken: ({ message }) => process.stderr.write(`${message}\n`),
  }).finally(() => progress.stop())
  await writeOutput(output, bytes)
  if (wantsJson(config.json)) writeJson({ output, pictures, novelty: limits })
  else process.stdout.write(`${output}: ${model}, which says unknown of what is unlike ${pictures} ordinary pictures\n`)
}
