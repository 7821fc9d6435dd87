/** `gapcam tune`: finds the fastest settings for one model on this machine, and stores them in a file beside it. */
import type { Command } from 'commander'
import { tuneModel } from '../engine/tune.js'
import { writeTuning } from '../engine/tuning.js'
import { loadModel } from '../model/load.js'
import { addFlag, inputSizeFrom, positiveFrom, type FlagValues } from './flags.js'
import { wantsJson, writeJson } from './output.js'
import { startProgressBar } from './progress-bar.js'
import { settledModel } from '../model/metadata/input-shape.js'

/** Registers the command. */
export function tuneCommand(program: Command): void {
  const command = program
    .command('tune')
    .description('find the fastest settings of a model on this machine, and store them')
    .argument('<model>', 'ONNX file')
    .option('--seconds <n>', 'seconds to measure, at most 60', '20')
    .option('--json', 'one JSON object')
  addFlag(command, 'inputSize').action(async (file: string, values: FlagValues) => {
    const seconds = positiveFrom(values, 'seconds', 60)
    const { model, inputSize } = await settledModel(await loadModel(file), inputSizeFrom(values))
    const progress = startProgressBar('tune', seconds)
    const tuning = await tuneModel(model, {
      seconds,
      onProgress: (done) => progress.update(Math.min(done, seconds)),
      inputSize,
    }).finally(() => progress.stop())
    const written = await writeTuning(file, tuning)
    if (wantsJson(values['json'] === true)) return writeJson({ file: written, ...tuning })
    const { threads, separate, defaultMs, tunedMs } = tuning
    const blocks =
      separate.length === 0 ? 'every block as the compiler groups it' : `${separate.length} of its blocks step by step`
    process.stdout.write(
      `${threads} ${threads === 1 ? 'thread' : 'threads'}, ${blocks}: ${defaultMs.toFixed(2)} ms → ${tunedMs.toFixed(2)} ms\nstored in ${written}\n`,
    )
  })
}
