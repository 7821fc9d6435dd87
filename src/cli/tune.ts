/** `gapcam tune`: measures the choices of one model on this machine and keeps them in a file beside it. */
import type { Command } from 'commander'
import { tuneModel } from '../engine/tune.js'
import { writeTuning } from '../engine/tuning.js'
import { GapcamError } from '../errors.js'
import { loadModel } from '../model/onnx/onnx.js'
import { configFrom, type FlagValues } from './flags.js'
import { wantsJson, writeJson } from './output.js'
import { startProgress } from './progress-bar.js'
import { sizeFor } from '../model/metadata/manifest.js'

export function tuneCommand(program: Command): void {
  program
    .command('tune')
    .description('find the fastest threads and steps of a model on this machine, and keep them beside it')
    .argument('<model>')
    .option('--seconds <n>', 'seconds to measure, at most 60', '20')
    .option('--input-size <side|HxW>', 'input of the network where the model allows it')
    .option('--json', 'one JSON object')
    .action(async (file: string, values: FlagValues) => {
      const seconds = Number(values['seconds'])
      if (!(seconds > 0 && seconds <= 60))
        throw new GapcamError('USAGE', `--seconds: ${String(values['seconds'])} is not a number above 0 and at most 60`)
      const model = await loadModel(file)
      const inputSize = await sizeFor(
        model,
        configFrom(values['inputSize'] === undefined ? {} : { inputSize: values['inputSize'] }).config.inputSize,
      )
      const progress = startProgress('tune', seconds)
      const tuning = await tuneModel(model, {
        seconds,
        onProgress: (done) => progress.update(Math.min(done, seconds)),
        ...(inputSize ? { inputSize } : {}),
      }).finally(() => progress.stop())
      const written = await writeTuning(file, tuning)
      if (wantsJson(values['json'] === true)) return writeJson({ file: written, ...tuning })
      const { threads, separate, defaultMs, tunedMs } = tuning
      const blocks =
        separate.length === 0
          ? 'every block as the compiler groups it'
          : `${separate.length} of its blocks step by step`
      process.stdout.write(
        `${threads} ${threads === 1 ? 'thread' : 'threads'}, ${blocks}: ${defaultMs.toFixed(2)} ms → ${tunedMs.toFixed(2)} ms\nkept in ${written}\n`,
      )
    })
}
