/** `gapcam record [SOURCE]`: writes every frame of a camera with all results to one file, for `gapcam replay`. */
import type { Command } from 'commander'
import { openClassifier } from '../classifier.js'
import { modelOptions } from '../config/model.js'
import type { Config } from '../config/schema.js'
import { GapcamError } from '../errors.js'
import { createLogger } from '../log.js'
import { createPublisher } from '../publish/publisher.js'
import { aboutOf } from '../recording/about.js'
import { FileRecorder } from '../recording/file-recorder.js'
import { run } from '../run/runtime.js'
import { version } from '../version.js'
import { demandPictures } from './classify-clips.js'
import { addCameraFlags, addFlags, camerasFrom, configFrom, type FlagValues } from './flags.js'
import { untilSignal, type Stop } from './signals.js'

/** Registers the command. */
export function recordCommand(program: Command): void {
  const command = program
    .command('record')
    .description('record the frames of a camera with their results, for gapcam replay')
    .argument('[source]', 'camera URI, picture, folder or video')
    .requiredOption('-o, --output <file>', 'file for the recording')
  addCameraFlags(
    addFlags(command, [
      'model',
      'labels',
      'engine',
      'threads',
      'inputSize',
      'topK',
      'policy.threshold',
      'frames',
      'logLevel',
      'planCache',
    ]),
  ).action(async (source: string | undefined, values: FlagValues) => {
    const { config } = configFrom(values)
    const [camera, ...others] = camerasFrom(config.cameras, source, values)
    if (!camera || camera.source === '')
      throw new GapcamError('USAGE', 'record needs a source: a camera, a picture, a folder or a video')
    if (others.length > 0)
      throw new GapcamError('USAGE', 'record takes one camera, but several are configured; choose one with --camera')
    await untilSignal((stop) => record({ ...config, cameras: [camera] }, String(values['output']), stop))
  })
}

async function record(config: Config, output: string, stop: Stop): Promise<void> {
  const log = createLogger(config.logLevel)
  const [camera] = config.cameras as [Config['cameras'][number]]
  const classifier = await openClassifier(modelOptions(config))
  const { roi, rotate, flipX, flipY } = camera
  const spec = classifier.preprocessing({ roi, rotate, flipX, flipY })
  const ending = new AbortController()
  stop.signal.addEventListener('abort', () => ending.abort(), { once: true })
  let fault: GapcamError | null = null
  try {
    demandPictures(classifier)
    const about = {
      ...aboutOf({ classifier, version, node: config.node, camera: camera.id, topK: config.topK }, spec),
      reason: 'gapcam record',
      startedMs: Date.now(),
    }
    const recorder = await FileRecorder.open(output, about, (error) => {
      fault = error
      ending.abort()
    })
    try {
      const publisher = createPublisher({ broker: null, node: config.node, cameras: [camera.id], log })
      await run(
        {
          config,
          // Its own question only: one recording has one model.
          cameras: [{ ...camera, zones: undefined }],
          classifier,
          publisher,
          log,
          recorders: {
            of: () => recorder,
            find: () => recorder,
            drop: () => undefined,
            close: () => Promise.resolve(),
          },
        },
        ending.signal,
      )
    } finally {
      await recorder.close()
    }
    const { written, dropped } = recorder
    process.stderr.write(
      `${written} frames recorded to ${output}${dropped > 0 ? `; ${dropped} dropped, because the disk was too slow` : ''}\n`,
    )
  } finally {
    await classifier.close()
  }
  if (fault !== null) throw fault as GapcamError
}
