/**
 * `gapcam classify FILE|FOLDER...`: classifies pictures. A picture that cannot be read is reported, and the others are still
 * classified.
 */
import { stat } from 'node:fs/promises'
import type { Command } from 'commander'
import { unknownLabel } from '../decision/decision.js'
import { decodeFile } from '../pixels/decode.js'
import { picturesIn } from '../camera/pictures.js'
import { openClassifier, type Classifier } from '../classifier.js'
import { detectByMaps } from '../classifier/maps.js'
import { modelOptions } from '../config/model.js'
import type { Config } from '../config/schema.js'
import type { ClassifierView } from '../engine/classify.js'
import { fileFaultOf, GapcamError, isOfOnePicture } from '../errors.js'
import { frameOf } from '../frame.js'
import { viewOf } from '../pixels/geometry.js'
import { focusOf } from '../heat/focus.js'
import type { Novelty } from '../decision/novelty.js'
import type { Prediction } from '../decision/prediction.js'
import {
  nothingLabel,
  type ScoredLabel,
  type Found,
  type FoundBoxes,
  type FoundShares,
  type Task,
} from '../decision/task.js'
import { embeddingFields, foundFields } from '../publish/payloads.js'
import { ClipShow } from '../engine/clip-show.js'
import { showClip } from './classify-clips.js'
import { heatDrawing, type HeatDrawing } from './classify-heat.js'
import { addCameraFlag, addFlags, configFrom, type FlagValues } from './flags.js'
import { wantsJson, writeJson, writeTable } from './output.js'
import { startProgressBar } from './progress-bar.js'

/** Registers the command. */
export function classifyCommand(program: Command): void {
  const command = program
    .command('classify')
    .description('classify pictures')
    .argument('<file|folder...>', 'pictures, or folders with pictures')
  addFlags(command, [
    'model',
    'labels',
    'engine',
    'precision',
    'cudaPrecision',
    'threads',
    'inputSize',
    'topK',
    'task',
    'json',
    'logLevel',
    'planCache',
  ])
  addCameraFlag(command, 'roi')
    .option('--detect <maps>', 'find things by the class maps of a classifier; see docs/detect.md')
    .option('--embedding', 'add the embedding of each picture to the JSON; see docs/tasks.md')
    .option(
      '--heat <file>',
      'draw where the evidence for the label is, to a .png or .jpg, or to a folder for several pictures',
    )
    .option('--heat-class <label|index>', 'draw the evidence for this class instead of the best one')
    .action(async (paths: string[], values: FlagValues) => {
      const { config } = configFrom(values)
      await classify(paths, config, values)
    })
}

interface Classified {
  readonly file: string
  /** The best label; `unknown` where every score is 0, or where a taught model finds the picture novel. */
  readonly label: string
  readonly score: number
  readonly top: readonly ScoredLabel[]
  /** The box around the evidence for the label, in shares of the picture; absent without a heat map or without evidence. */
  readonly focus?: { readonly x: number; readonly y: number; readonly w: number; readonly h: number }
  readonly ms: number
  readonly engine: string
  readonly target: string
  /** Why this engine was chosen. */
  readonly engineReason: string
  /** Only of a taught model: the distance to the nearest taught picture, its limit, and why the picture is `unknown`. */
  readonly novelty?: Novelty
  /** Where it was asked for: base64 of 16-bit floats. */
  readonly embedding?: Readonly<Record<string, unknown>>
  /** The file with the heat map. */
  readonly heat?: string
  /** What the task finds besides scores: boxes with `count`. */
  readonly found?: Found
}

/** What all pictures of a command share. */
interface Bench {
  readonly classifier: Classifier
  readonly view: ClassifierView
  /** Of a model that looks at clips. */
  readonly show: ClipShow | null
  readonly heat: HeatDrawing | null
  readonly hasEmbedding: boolean
}

async function classify(paths: readonly string[], config: Config, values: FlagValues): Promise<void> {
  const files = await picturesOf(paths)
  const roi =
    values['roi'] === undefined
      ? undefined
      : configFrom({}, { cameras: [{ id: 'cam0', source: 'file', roi: values['roi'] }] }).config.cameras[0]?.roi
  const hasEmbedding = values['embedding'] === true
  const isJson = hasEmbedding || wantsJson(config.json)
  const isByMaps = wantsMaps(values['detect'])
  const opened = await openClassifier({
    ...modelOptions(config),
    ...(isByMaps ? { task: 'classify' as const } : {}),
    onFault: (sentence) => process.stderr.write(`${sentence}\n`),
    embedding: hasEmbedding,
    // The table does not show the box.
    heat: isByMaps || (config.heat && (isJson || values['heat'] !== undefined)),
  })
  const classifier = isByMaps ? detectByMaps(opened) : opened
  const view = classifier.view({ roi }, config.topK)
  const { engine, reason } = classifier.engine.describe()
  if (engine !== config.engine && reason !== 'covers the whole model')
    process.stderr.write(`engine ${engine}: ${reason}\n`)
  if (config.task === undefined && classifier.task !== 'classify')
    process.stderr.write(`task ${classifier.taskSentence}\n`)
  for (const assumption of classifier.assumed) process.stderr.write(`assumed: ${assumption}\n`)
  try {
    if (hasEmbedding && 'reason' in classifier.embedding)
      throw new GapcamError(
        'MODEL_UNSUPPORTED',
        `model ${classifier.path}: it has no embedding: ${classifier.embedding.reason}`,
      )
    const heat = await heatDrawing(values, classifier, files)
    const show = classifier.clip && new ClipShow(view, classifier.clip)
    await classifyAll(show ? paths : files, { classifier, view, show, heat, hasEmbedding }, isJson)
  } finally {
    view.close()
    if (isByMaps) await classifier.close()
    await opened.close()
  }
}

function wantsMaps(detect: unknown): boolean {
  if (detect === undefined || detect === 'maps') return detect === 'maps'
  throw new GapcamError('USAGE', `--detect: there is only maps, not ${String(detect)}`, {
    hint: 'A detector is recognised by itself; --task detect asks for it.',
  })
}

/** The columns of the table by task. */
const headings: Readonly<Record<Task, string[]>> = {
  classify: ['picture', 'label', 'score', 'ms', 'engine'],
  detect: ['picture', 'label', 'score', 'x', 'y', 'width', 'height', 'ms'],
  segment: ['picture', 'label', 'share', 'ms'],
  video: ['clip', 'label', 'score', 'ms', 'engine'],
}

/** One row for each label that is seen, the largest share first. */
function shareRows(file: string, { shares }: FoundShares, ms: number): string[][] {
  return shares
    .filter(({ share }) => share > 0)
    .toSorted((a, b) => b.share - a.share)
    .map(({ label, share }) => [file, label, share.toFixed(3), ms.toFixed(1)])
}

/** One row for each box; one with `none` for a picture without any. */
function boxRows(file: string, { boxes }: FoundBoxes, ms: number): string[][] {
  const share = (value: number): string => value.toFixed(3)
  const rows = boxes.map(({ label, score, x, y, width, height }) => [
    file,
    label,
    ...[score, x, y, width, height].map(share),
    ms.toFixed(1),
  ])
  return rows.length > 0 ? rows : [[file, nothingLabel, '', '', '', '', '', ms.toFixed(1)]]
}

async function classifyAll(files: readonly string[], bench: Bench, isJson: boolean): Promise<void> {
  const progress = startProgressBar('pictures', files.length)
  const rows: (string | number)[][] = [headings[bench.classifier.task]]
  for (const [i, file] of files.entries()) {
    try {
      const result = bench.show ? await classifyClip(file, bench, bench.show) : await classifyFile(file, bench)
      const { found, ...known } = result
      if (isJson) writeJson(found ? { ...known, ...foundFields(found) } : known)
      else if (found && found.task !== 'video')
        rows.push(...(found.task === 'segment' ? shareRows(file, found, result.ms) : boxRows(file, found, result.ms)))
      else
        rows.push([
          file,
          result.label,
          result.score.toFixed(3),
          result.ms.toFixed(1),
          `${result.engine} ${result.target}`,
        ])
    } catch (error) {
      if (!isOfOnePicture(error)) {
        if (!isJson && rows.length > 1) writeTable(rows) // results of earlier pictures are not lost
        throw error
      }
      process.stderr.write(`${error.message}\n`)
      process.exitCode = error.exitStatus
    }
    progress.update(i + 1)
  }
  progress.stop()
  if (!isJson && rows.length > 1) writeTable(rows)
}

/** What a model says of a clip. `ms` is the time for its last frame, with the scores. */
async function classifyClip(path: string, bench: Bench, show: ClipShow): Promise<Classified> {
  return classifiedAs(path, await showClip(path, bench.classifier.clip!.frames, show), bench)
}

/** Classifies one picture on the same path as a camera's frame. `ms` is the time from pixels to scores. */
async function classifyFile(file: string, bench: Bench): Promise<Classified> {
  const { classifier, view, heat } = bench
  const picture = await decodeFile(file)
  const outcome = await view.classify(frameOf(picture))
  if (!outcome.ok) {
    if (outcome.reason === 'frame_invalid') throw outcome.error
    throw new GapcamError('ENGINE_FAILED', `picture ${file}: the model's outputs are not finite (${outcome.reason})`)
  }
  const result = classifiedAs(file, outcome.prediction, bench)
  const geometry = viewOf(view.spec, picture.width, picture.height)
  const { scores, top } = outcome.prediction
  const best = top[0]!.index
  const box = result.label !== unknownLabel && 'heat' in classifier.heat ? focusOf(classifier.heat.heat(best)) : null
  const seen = box && geometry.toFrame(box)
  const drawn = heat && (await heat.draw({ file, picture, view: geometry, best, scores }))
  return {
    ...result,
    ...(seen
      ? { focus: { x: rounded(seen.x), y: rounded(seen.y), w: rounded(seen.width), h: rounded(seen.height) } }
      : {}),
    ...(drawn ? { heat: drawn } : {}),
  }
}

/** What is said of a prediction, whether of a picture or of a clip. */
function classifiedAs(
  file: string,
  { top, timings, novelty, found }: Prediction,
  { classifier, hasEmbedding }: Bench,
): Classified {
  const { engine, target, reason: engineReason } = classifier.engine.describe()
  const best = top[0]!
  return {
    file,
    label: best.score > 0 && !novelty?.cause ? best.label : unknownLabel,
    score: best.score,
    top,
    ...(novelty ? { novelty } : {}),
    ms: Math.round((timings.preprocess + timings.infer) * 1000) / 1000,
    engine,
    target,
    engineReason,
    ...(hasEmbedding && 'read' in classifier.embedding
      ? embeddingFields({ embedding: classifier.embedding.read() })
      : {}),
    ...(found ? { found } : {}),
  }
}

const rounded = (share: number): number => Math.round(share * 1e4) / 1e4

/** The files as they are given, and the pictures in the folders, sorted by name. */
async function picturesOf(paths: readonly string[]): Promise<string[]> {
  const lists = await Promise.all(
    paths.map(async (path) => {
      try {
        return (await stat(path)).isDirectory() ? await picturesIn(path) : [path]
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [path] // decoding reports it
        throw new GapcamError('PICTURE_INVALID', `${path}: ${fileFaultOf(error)}`)
      }
    }),
  )
  const files = lists.flat()
  if (files.length === 0)
    throw new GapcamError('PICTURE_INVALID', `no pictures found in ${paths.join(', ')}`, {
      hint: 'Name a picture, or a folder with pictures: JPEG, PNG, WebP, GIF, TIFF, AVIF or BMP.',
    })
  return files
}
