/** `gapcam replay FILE...`: computes recordings again, and names the first stage whose result differs. */
import { readFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { openClassifier } from '../classifier.js'
import { modelOptions } from '../config/model.js'
import type { Config } from '../config/schema.js'
import { fileFaultOf, GapcamError } from '../errors.js'
import { aboutOf } from '../recording/about.js'
import { readRecording, type Recording } from '../recording/format.js'
import { replay, tolerance, type Replay } from '../recording/replay.js'
import { version } from '../version.js'
import { addFlags, configFrom, type FlagValues } from './flags.js'
import { wantsJson, writeJson } from './output.js'

/** Registers the command. */
export function replayCommand(program: Command): void {
  const command = program
    .command('replay')
    .description('compute recordings again, and name the first stage that differs')
    .argument('<file...>')
  addFlags(command, ['model', 'labels', 'engine', 'threads', 'json', 'logLevel', 'planCache']).action(
    async (files: string[], values: FlagValues) => {
      const { config } = configFrom(values)
      for (const file of files) await replayFile(file, config)
    },
  )
}

async function replayFile(file: string, config: Config): Promise<void> {
  const recording = await read(file)
  const { about, cut } = recording
  const { width, height } = about.spec
  const classifier = await openClassifier({
    ...modelOptions(config),
    resize: about.spec.resize,
    inputSize: { height, width },
  })
  let result: Replay
  try {
    result = await replay(
      recording,
      classifier,
      aboutOf(
        { classifier, version, node: config.node, camera: about.camera, topK: about.topK },
        classifier.preprocessing(),
      ),
    )
  } catch (error) {
    throw error instanceof GapcamError && error.code === 'RECORDING_INVALID'
      ? new GapcamError('RECORDING_INVALID', `recording ${file}: ${error.message}`)
      : error
  } finally {
    await classifier.close()
  }
  if (wantsJson(config.json))
    writeJson({
      file,
      camera: about.camera,
      reason: about.reason,
      recorded: { version: about.version, platform: about.platform, engine: about.engine, target: about.target },
      cut,
      tolerance,
      ...result,
    })
  else process.stdout.write(`${sentences(file, recording, result).join('\n')}\n`)
  if (result.first)
    throw new GapcamError(
      'REPLAY_DIFFERS',
      `recording ${file}: frame ${result.first.frame} differs first in ${result.first.stage}: ${result.first.what}`,
    )
}

async function read(file: string): Promise<Recording> {
  let bytes: Buffer
  try {
    bytes = await readFile(file)
  } catch (error) {
    throw new GapcamError('RECORDING_INVALID', `recording ${file}: ${fileFaultOf(error)}`, {
      hint: 'gapcam record and the flight recorder write recordings. docs/recording.md says where.',
    })
  }
  try {
    return readRecording(bytes)
  } catch (error) {
    throw error instanceof GapcamError ? new GapcamError(error.code, `recording ${file}: ${error.message}`) : error
  }
}

function sentences(
  file: string,
  { about, cut }: Recording,
  { frames, demanded, because, sameBits, worst, first, differing }: Replay,
): string[] {
  const demand =
    demanded === 'bits'
      ? 'every bit must be equal'
      : `numbers must agree within ${tolerance} of their range (${because.join('; ')})`
  return [
    `${file}: ${frames} frames of ${about.camera}, recorded by gapcam ${about.version} on ${about.platform} with ${about.engine} ${about.target} (${about.reason})`,
    `demanded  ${demand}`,
    `bits      ${sameBits} of ${frames} frames have identical inputs and outputs; the logits differ by at most ${worst.toPrecision(2)} of their range`,
    ...(cut === null ? [] : [`cut       ${cut}`]),
    first === null
      ? 'result    reproduced'
      : `result    ${differing} frames differ; frame ${first.frame} first in ${first.stage}: ${first.what}`,
  ]
}
