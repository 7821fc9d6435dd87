/** `gapcam classify FILE|DIR...`: what the model says of pictures. A picture that cannot be read is reported and the rest goes on. */
import { stat } from 'node:fs/promises'
import type { Command } from 'commander'
import { decodeFile } from '../pixels/decode.js'
import { picturesIn } from '../camera/pictures.js'
import { openClassifier, type Classifier } from '../classifier.js'
import { modelOptions } from '../config/model.js'
import type { Config } from '../config/schema.js'
import type { ClassifierView } from '../engine/classify.js'
import { GapcamError, messageOf } from '../errors.js'
import { frameOf } from '../frame.js'
import { viewOf } from '../pixels/geometry.js'
import { focusOf } from '../heat/focus.js'
import type { ScoredLabel } from '../decision/prediction.js'
import { heatWanted, type HeatWanted } from './classify-heat.js'
import { addFlags, configFrom, type FlagValues } from './flags.js'
import { wantsJson, writeJson, writeTable } from './output.js'
import { startProgress } from './progress-bar.js'

export function classifyCommand(program: Command): void {
  const command = program.command('classify').description('say what is in pictures').argument('<file|folder...>')
  addFlags(command, ['model', 'labels', 'engine', 'cudaPrecision', 'threads', 'inputSize', 'topK', 'json', 'logLevel'])
    .option('--roi <x,y,w,h>', 'part of the picture to look at, each from 0 to 1')
    .option(
      '--heat <file>',
      'draw where the label has its evidence: a .png or .jpg, or a folder for one of each picture',
    )
    .option('--heat-class <label|index>', 'the heat of this class instead of the best one')
    .action(async (paths: string[], values: FlagValues) => {
      const { config } = configFrom(values)
      await classify(paths, config, values)
    })
}

interface Classified {
  readonly file: string
  readonly top: readonly ScoredLabel[]
  /** Around what speaks for the label, in shares of the picture; absent where the model has no heat map or no place does. */
  readonly focus?: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly ms: number
  readonly engine: string
  readonly target: string
  /** Why this engine. */
  readonly engineReason: string
  /** The picture with its heat. */
  readonly heat?: string
}

/** What all pictures of a call share. */
interface Bench {
  readonly classifier: Classifier
  readonly view: ClassifierView
  readonly heat: HeatWanted | null
}

async function classify(paths: readonly string[], config: Config, values: FlagValues): Promise<void> {
  const files = await picturesOf(paths)
  const roi =
    values['roi'] === undefined
      ? undefined
      : configFrom({}, { cameras: [{ id: 'cam0', source: 'file', roi: values['roi'] }] }).config.cameras[0]?.roi
  const isJson = wantsJson(config.json)
  const classifier = await openClassifier({
    ...modelOptions(config),
    onFault: (sentence) => process.stderr.write(`${sentence}\n`),
    // A table has no room for a box.
    heat: config.heat && (isJson || values['heat'] !== undefined),
  })
  const view = classifier.view({ roi }, config.topK)
  const { engine, reason } = classifier.engine.describe()
  if (engine !== config.engine && reason !== 'covers the whole model')
    process.stderr.write(`engine ${engine}: ${reason}\n`)
  for (const assumption of classifier.assumed) process.stderr.write(`assumed: ${assumption}\n`)
  try {
    await classifyAll(files, { classifier, view, heat: await heatWanted(values, classifier, files) }, isJson)
  } finally {
    view.close()
    await classifier.close()
  }
}

async function classifyAll(files: readonly string[], bench: Bench, isJson: boolean): Promise<void> {
  const progress = startProgress('pictures', files.length)
  const rows: (string | number)[][] = [['picture', 'label', 'score', 'ms', 'engine']]
  for (const [i, file] of files.entries()) {
    try {
      const result = await classifyFile(file, bench)
      if (isJson) writeJson(result)
      else
        rows.push([
          file,
          result.top[0]?.label ?? '',
          (result.top[0]?.score ?? 0).toFixed(3),
          result.ms.toFixed(1),
          `${result.engine} ${result.target}`,
        ])
    } catch (error) {
      if (!(error instanceof GapcamError) || (error.code !== 'PICTURE_INVALID' && error.code !== 'FRAME_INVALID'))
        throw error
      process.stderr.write(`${error.message}\n`)
      process.exitCode = error.exitStatus
    }
    progress.update(i + 1)
  }
  progress.stop()
  if (!isJson && rows.length > 1) writeTable(rows)
}

/** One picture through the same path as a camera's frame; ms is from pixels to scores. */
async function classifyFile(file: string, { classifier, view, heat }: Bench): Promise<Classified> {
  const picture = await decodeFile(file)
  const outcome = await view.classify(frameOf(picture))
  const { engine, target, reason: engineReason } = classifier.engine.describe()
  if (!outcome.ok) {
    if (outcome.reason === 'frame_invalid') throw outcome.error
    throw new GapcamError('ENGINE_FAILED', `picture ${file}: the model's outputs are not finite (${outcome.reason})`)
  }
  const { top, scores, timings } = outcome.prediction
  const ms = timings.preprocess + timings.infer
  const geometry = viewOf(view.spec, picture.width, picture.height)
  const box = 'heat' in classifier.heat ? focusOf(classifier.heat.heat(top[0]!.index)) : null
  const seen = box && geometry.toFrame(box)
  const drawn = heat && (await heat.draw({ file, picture, view: geometry, best: top[0]!.index, scores }))
  return {
    file,
    top,
    ...(seen
      ? { focus: { x: rounded(seen.x), y: rounded(seen.y), w: rounded(seen.width), h: rounded(seen.height) } }
      : {}),
    ms: Math.round(ms * 1000) / 1000,
    engine,
    target,
    engineReason,
    ...(drawn ? { heat: drawn } : {}),
  }
}

const rounded = (share: number): number => Math.round(share * 1e4) / 1e4

/** The files themselves, and the pictures in the folders, in order of name. */
async function picturesOf(paths: readonly string[]): Promise<string[]> {
  const lists = await Promise.all(
    paths.map(async (path) => {
      try {
        return (await stat(path)).isDirectory() ? await picturesIn(path) : [path]
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [path] // reported in its turn
        throw new GapcamError('PICTURE_INVALID', `${path}: ${messageOf(error)}`)
      }
    }),
  )
  const files = lists.flat()
  if (files.length === 0)
    throw new GapcamError('PICTURE_INVALID', `there are no pictures in ${paths.join(', ')}`, {
      hint: 'Name a file, or a folder with pictures: JPEG, PNG, WebP, GIF, TIFF and AVIF are read.',
    })
  return files
}
