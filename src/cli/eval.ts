/** `gapcam eval FOLDER`: measures how well a model classifies pictures that lie in folders named by their labels. */
import { readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Command } from 'commander'
import { decodeFile } from '../pixels/decode.js'
import { picturesIn } from '../camera/pictures.js'
import { openClassifier, type Classifier } from '../classifier.js'
import { modelOptions } from '../config/model.js'
import type { Config } from '../config/schema.js'
import { fileFaultOf, GapcamError, isOfOnePicture, messageOf, writeFaultOf } from '../errors.js'
import { makeFolder } from '../folder.js'
import { evaluate, thresholdFor, thresholds, type Answer, type Evaluation } from '../eval/metrics.js'
import { calibrationSvg, confusionSvg, precisionSvg } from '../eval/plots.js'
import { frameOf } from '../frame.js'
import { classOf } from '../heat/class.js'
import { demandPictures } from './classify-clips.js'
import { addFlags, configFrom, type FlagValues } from './flags.js'
import { wantsJson, writeJson, writeTable } from './output.js'
import { loadSharp } from '../pixels/sharp.js'
import { startProgressBar } from './progress-bar.js'

/** Registers the command. */
export function evalCommand(program: Command): void {
  const command = program
    .command('eval')
    .description('evaluate a model on folders of pictures that are named by label')
    .argument('<folder>', 'folder with one folder of pictures per label')
  addFlags(command, ['model', 'labels', 'engine', 'threads', 'inputSize', 'json', 'logLevel', 'planCache'])
    .option('--precision <share>', 'report the threshold that gives this precision', '0.95')
    .option('--plots <folder>', 'folder for confusion.png, calibration.png and precision.png')
    .action(async (folder: string, { precision: given, ...values }: FlagValues) => {
      // Here the word means a share of right answers, not the numbers that an engine computes with.
      const { config } = configFrom(values)
      const precision = Number(given)
      if (!(precision > 0 && precision <= 1))
        throw new GapcamError('USAGE', `--precision: ${String(given)} is not a number above 0 and at most 1`)
      await evaluateFolder(folder, config, precision, values['plots'] as string | undefined)
    })
}

/** The pictures of the folder, and the folders that cannot be used. */
interface Found {
  readonly pictures: readonly { readonly file: string; readonly truth: number }[]
  /** Folders whose name is not a label, with the number of their pictures; null for folders that cannot be read. */
  readonly unknown: readonly { readonly folder: string; readonly pictures: number | null; readonly why: string }[]
  readonly empty: readonly string[]
}

async function evaluateFolder(
  folder: string,
  config: Config,
  wanted: number,
  plots: string | undefined,
): Promise<void> {
  const classifier = await openClassifier(modelOptions(config))
  try {
    demandPictures(classifier)
    const found = await findPictures(folder, classifier.labels)
    const { answers, broken } = await answerAll(found, classifier)
    for (const { folder: name, pictures, why } of found.unknown)
      process.stderr.write(`folder ${name}: ${why}; ${skippedOf(pictures)}\n`)
    for (const name of found.empty) process.stderr.write(`folder ${name}: it contains no pictures\n`)
    if (answers.length === 0) throw new GapcamError('PICTURE_INVALID', `${folder}: none of the pictures could be used`)
    const evaluation = evaluate(answers)
    if (plots !== undefined) await drawPlots(plots, evaluation, answers, wanted, classifier.labels)
    report({ folder, evaluation, answers, broken, found, wanted, classifier, isJson: wantsJson(config.json) })
    if (found.unknown.length > 0) process.exitCode = 2
    if (broken.length > 0) process.exitCode = 3
  } finally {
    await classifier.close()
  }
}

function skippedOf(pictures: number | null): string {
  if (pictures === null) return 'the folder is skipped'
  return pictures === 1 ? 'its picture is skipped' : `its ${pictures} pictures are skipped`
}

const layout = 'Put the pictures of each label into a folder named by the label. docs/eval.md has an example.'

async function findPictures(folder: string, labels: readonly string[]): Promise<Found> {
  let names: string[]
  try {
    names = (await readdir(folder, { withFileTypes: true }))
      .filter((entry) => entry.isDirectory())
      .map(({ name }) => name)
      .sort()
  } catch (error) {
    throw new GapcamError('PICTURE_INVALID', `${folder}: ${fileFaultOf(error)}`, { hint: layout })
  }
  if (names.length === 0)
    throw new GapcamError('PICTURE_INVALID', `${folder}: it contains no folders`, { hint: layout })
  const [pictures, unknown, empty]: [{ file: string; truth: number }[], Found['unknown'][number][], string[]] = [
    [],
    [],
    [],
  ]
  for (const name of names) {
    let files: string[]
    try {
      files = await picturesIn(join(folder, name))
    } catch (error) {
      unknown.push({ folder: name, pictures: null, why: fileFaultOf(error) })
      continue
    }
    if (files.length === 0) empty.push(name)
    try {
      const truth = classOf(labels, name)
      pictures.push(...files.map((file) => ({ file, truth })))
    } catch (error) {
      unknown.push({ folder: name, pictures: files.length, why: messageOf(error) })
    }
  }
  if (unknown.length === names.length)
    throw new GapcamError('USAGE', `${folder}: no folder is named by a label of the model: ${unknown[0]!.why}`, {
      hint: layout,
    })
  return { pictures, unknown, empty }
}

async function answerAll(
  { pictures }: Found,
  classifier: Classifier,
): Promise<{ answers: Answer[]; broken: string[] }> {
  const [answers, broken]: [Answer[], string[]] = [[], []]
  const view = classifier.view({}, 1)
  const progress = startProgressBar('pictures', pictures.length)
  try {
    for (const [i, { file, truth }] of pictures.entries()) {
      try {
        const outcome = await view.classify(frameOf(await decodeFile(file)))
        if (!outcome.ok) {
          if (outcome.reason === 'frame_invalid') throw outcome.error
          throw new GapcamError(
            'ENGINE_FAILED',
            `picture ${file}: the model's outputs are not finite (${outcome.reason})`,
          )
        }
        const { top, scores } = outcome.prediction
        answers.push({
          truth,
          predicted: top[0]!.index,
          score: top[0]!.score,
          rank: scores.reduce(
            (before, score, k) => before + (score > scores[truth]! || (score === scores[truth] && k < truth) ? 1 : 0),
            0,
          ),
        })
      } catch (error) {
        if (!isOfOnePicture(error)) throw error
        broken.push(file)
        process.stderr.write(`${error.message}\n`)
      }
      progress.update(i + 1)
    }
  } finally {
    progress.stop()
    view.close()
  }
  return { answers, broken }
}

async function drawPlots(
  folder: string,
  evaluation: Evaluation,
  answers: readonly Answer[],
  wanted: number,
  labels: readonly string[],
): Promise<void> {
  const sharp = await loadSharp()
  const plots = {
    confusion: confusionSvg(evaluation, labels),
    calibration: calibrationSvg(evaluation.bins, evaluation.ece),
    precision: precisionSvg(thresholds(answers), wanted),
  }
  try {
    await makeFolder(folder)
    for (const [name, svg] of Object.entries(plots))
      await writeFile(join(folder, `${name}.png`), await sharp(Buffer.from(svg)).png().toBuffer())
  } catch (error) {
    throw new GapcamError('USAGE', `--plots: ${folder} cannot be written: ${writeFaultOf(error)}`, {
      hint: 'Name a folder that you may write.',
    })
  }
}

interface Report {
  readonly folder: string
  readonly evaluation: Evaluation
  readonly answers: readonly Answer[]
  readonly broken: readonly string[]
  readonly found: Found
  readonly wanted: number
  readonly classifier: Classifier
  readonly isJson: boolean
}

function report({
  folder,
  evaluation,
  answers,
  broken,
  found,
  wanted,
  classifier: { labels, modelId, engine },
  isJson,
}: Report): void {
  const threshold = thresholdFor(answers, wanted)
  const { classes, confusion, ...figures } = evaluation
  if (isJson) {
    const named = ({ index, ...rest }: Evaluation['classes'][number]): unknown => ({
      index,
      label: labels[index],
      ...rest,
    })
    writeJson({
      folder,
      model: modelId,
      engine: `${engine.describe().engine} ${engine.describe().target}`,
      ...figures,
      wantedPrecision: wanted,
      threshold,
      classes: classes.map(named),
      confusion: confusion.map(({ truth, predicted, count }) => ({
        truth: labels[truth],
        predicted: labels[predicted],
        count,
      })),
      broken,
      unknown: found.unknown,
      empty: found.empty,
    })
    return
  }
  const percent = (share: number | null): string => (share === null ? '' : `${(share * 100).toFixed(1)} %`)
  writeTable([
    ['pictures', String(figures.pictures)],
    ['top-1', percent(figures.top1)],
    ['top-5', percent(figures.top5)],
    ['mean recall of the classes', percent(figures.balanced)],
    ['expected calibration error', figures.ece.toFixed(3)],
    [
      `threshold for ${percent(wanted)} precision`,
      threshold
        ? `${threshold.threshold.toFixed(4)}: ${percent(threshold.precision)} right, ${percent(threshold.coverage)} answered`
        : 'no threshold reaches it',
    ],
    ['unreadable pictures', String(broken.length)],
    ['folders without a label of this name', String(found.unknown.length)],
  ])
  process.stdout.write('\n')
  writeTable([
    ['label', 'shown', 'said', 'precision', 'recall', 'taken for'],
    ...classes.map(({ index, shown, said, precision, recall }) => [
      labels[index]!,
      shown,
      said,
      percent(precision),
      percent(recall),
      confusion
        .filter(({ truth, predicted }) => truth === index && predicted !== index)
        .slice(0, 3)
        .map(({ predicted, count }) => `${labels[predicted]} ${count}`)
        .join('; '),
    ]),
  ])
}
