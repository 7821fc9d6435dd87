/**
 * `gapcam model check FILE --pictures DIR [--reference scores.csv]`: shows what was assumed of a model and where each assumption
 * comes from, classifies the pictures, and names the assumption that explains a difference from the training tool.
 */
import { readFile, readdir } from 'node:fs/promises'
import { join, relative } from 'node:path'
import type { Command } from 'commander'
import { picturesIn } from '../camera/pictures.js'
import { innerRegion, type Change } from '../check/alternatives.js'
import { checkModel, type CheckResult } from '../check/check.js'
import { expectedOf, type Expected } from '../check/expected.js'
import { parseReference, pictureOfRows, type Reference } from '../check/reference.js'
import type { OpenAt } from '../check/trial.js'
import { openClassifier, type Classifier } from '../classifier.js'
import { modelOptions } from '../config/model.js'
import { exitStatus, fileFaultOf, GapcamError, isOfOnePicture } from '../errors.js'
import { frameOf } from '../frame.js'
import { repeatedLabels } from '../model/metadata/labels.js'
import { decodeFile } from '../pixels/decode.js'
import { demandPictures } from './classify-clips.js'
import { addFlags, configFrom, type FlagValues } from './flags.js'
import { wantsJson, writeJson, writeTable } from './output.js'
import { startProgressBar } from './progress-bar.js'

/** Adds the command to `model`. */
export function addModelCheck(model: Command): void {
  const command = model
    .command('check')
    .description('show what is assumed of a model, and compare it with the answers of its training tool')
    .argument('<file>', 'ONNX or TFLite file, or a zip archive with one')
    .requiredOption('--pictures <dir>', 'folder with pictures, or with one folder of pictures per label')
    .option('--reference <csv>', "the training tool's answers: file,label or file,label,score or file and all scores")
  addFlags(command, ['labels', 'engine', 'threads', 'inputSize', 'json', 'logLevel', 'planCache']).action(
    async (file: string, values: FlagValues) => {
      const { config } = configFrom({ ...values, model: file })
      const folder = String(values['pictures'])
      const pictures = await picturesBelow(folder)
      const classifier = await openClassifier(modelOptions(config))
      // Where the size is assumed, other sizes are tried too.
      const openAt: OpenAt | undefined = classifier.origins.size.startsWith('assumed')
        ? (inputSize) => openClassifier({ ...modelOptions(config), inputSize })
        : undefined
      try {
        demandPictures(classifier)
        const reference = values['reference'] as string | undefined
        const isJson = wantsJson(config.json)
        if (reference === undefined) await showAnswers(classifier, folder, pictures, isJson)
        else await compare(classifier, { folder, pictures, reference, openAt }, isJson)
      } finally {
        await classifier.close()
      }
    },
  )
}

/** The pictures of a folder and of the folders in it. */
async function picturesBelow(folder: string): Promise<readonly string[]> {
  let pictures: string[]
  try {
    const folders = (await readdir(folder, { withFileTypes: true })).filter((entry) => entry.isDirectory())
    const below = await Promise.all(folders.map(({ name }) => picturesIn(join(folder, name))))
    pictures = [...(await picturesIn(folder)), ...below.flat()]
  } catch (error) {
    throw new GapcamError('PICTURE_INVALID', `${folder}: ${fileFaultOf(error)}`, {
      hint: 'Name a folder with pictures, or with one folder of pictures per label.',
    })
  }
  if (pictures.length === 0) throw new GapcamError('PICTURE_INVALID', `${folder}: it contains no pictures`)
  return pictures
}

interface Assumption {
  readonly what: string
  readonly value: string
  readonly origin: string
}

function assumptionsOf({ preprocessing, labels, reading, output, origins }: Classifier): readonly Assumption[] {
  const { width, height, order, mean, std, resize, type } = preprocessing()
  const round = (values: readonly number[]): string => values.map((value) => Number(value.toFixed(3))).join(', ')
  const scale =
    type === 'uint8' ? 'bytes from 0 to 255' : `(level - mean) / std with mean ${round(mean)} and std ${round(std)}`
  const crops = {
    cover: 'the centre square (cover)',
    stretch: 'the whole picture squeezed (stretch)',
    contain: 'the whole picture with bars (contain)',
  }
  const ending = reading.activation === 'none' ? 'taken as they are' : reading.activation
  const shown = labels
    .slice(0, 3)
    .map((label) => label.split(',')[0])
    .join('; ')
  const repeated = repeatedLabels(labels)
  const twice = repeated.length === 0 ? '' : ` (several classes have the label ${repeated.slice(0, 3).join('; ')})`
  return [
    { what: 'size', value: `${height}x${width}`, origin: origins.size },
    { what: 'colour', value: order.toUpperCase(), origin: origins.colour },
    { what: 'scale', value: scale, origin: origins.scale },
    { what: 'crop', value: crops[resize], origin: origins.crop },
    {
      what: 'labels',
      value: `${labels.length}: ${shown}${labels.length > 3 ? '; …' : ''}${twice}`,
      origin: origins.labels,
    },
    { what: 'scores', value: `output ${output.name}, ${ending}`, origin: origins.scores },
  ]
}

function writeAssumptions(assumptions: readonly Assumption[]): void {
  writeTable([['assumed', 'value', 'from'], ...assumptions.map(({ what, value, origin }) => [what, value, origin])])
}

interface Named {
  readonly file: string
  readonly label: string
  readonly score: number
}

async function showAnswers(
  classifier: Classifier,
  folder: string,
  pictures: readonly string[],
  isJson: boolean,
): Promise<void> {
  const answers: Named[] = []
  const progress = startProgressBar('pictures', pictures.length)
  for (const [i, picture] of pictures.entries()) {
    try {
      const outcome = await classifier.classify(frameOf(await decodeFile(picture)))
      if (!outcome.ok && outcome.reason === 'frame_invalid') throw outcome.error
      const [best] = outcome.ok ? outcome.prediction.top : []
      answers.push({
        file: relative(folder, picture),
        label: best?.label ?? 'outputs are not finite',
        score: best?.score ?? 0,
      })
    } catch (error) {
      if (!isOfOnePicture(error)) throw error
      tellOfPicture(error)
    }
    progress.update(i + 1)
  }
  progress.stop()
  const assumptions = assumptionsOf(classifier)
  if (isJson) return writeJson({ file: classifier.path, assumptions, pictures: answers })
  writeAssumptions(assumptions)
  process.stdout.write('\n')
  writeTable([
    ['picture', 'label', 'score'],
    ...answers.map(({ file, label, score }) => [file, label, score.toFixed(3)]),
  ])
}

/** A picture that cannot be read does not end the check. */
function tellOfPicture(error: GapcamError): void {
  process.stderr.write(`${error.message}\n`)
  process.exitCode = error.exitStatus
}

interface Comparands {
  readonly folder: string
  readonly pictures: readonly string[]
  readonly reference: string
  readonly openAt: OpenAt | undefined
}

async function compare(classifier: Classifier, comparands: Comparands, isJson: boolean): Promise<void> {
  const { reference, expected, missing } = await readExpected(classifier, comparands)
  const progress = startProgressBar('comparing', 1)
  let result: CheckResult
  try {
    const { openAt } = comparands
    result = await checkModel(classifier, expected, { openAt, onProgress: (share) => progress.update(share) })
  } finally {
    progress.stop()
  }
  if (missing > 0)
    process.stderr.write(
      `${missing} of ${reference.rows.length} lines of the reference have no picture in ${comparands.folder}\n`,
    )
  if (expected.unknown.length > 0)
    process.stderr.write(`labels that the model does not have, left out: ${expected.unknown.slice(0, 5).join('; ')}\n`)
  for (const fault of result.faults) tellOfPicture(fault)
  if (result.tried === 0)
    throw new GapcamError('PICTURE_INVALID', `${comparands.folder}: none of the pictures could be used`)
  const compared = expected.answers.length - result.faults.length
  if (isJson) writeJson(reportOf(classifier, reference, result, compared))
  else writeReport(classifier, reference, result, compared)
  if (isContradicted(result)) process.exitCode = exitStatus.model
}

/** Fewer pictures than this share agree: something is different, even if no alternative explains it. */
const enoughAgreement = 0.9

const isContradicted = ({ explanation, assumed }: CheckResult): boolean =>
  explanation !== null || assumed.agreement < enoughAgreement

async function readExpected(
  { labels }: Classifier,
  { folder, pictures, reference: path }: Comparands,
): Promise<{ readonly reference: Reference; readonly expected: Expected; readonly missing: number }> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    throw new GapcamError('USAGE', `--reference: ${path}: ${fileFaultOf(error)}`, {
      hint: 'Check the path of the CSV file.',
    })
  }
  const reference = parseReference(text, labels.length, path)
  const names = pictures.map((picture) => relative(folder, picture))
  const found = pictureOfRows(reference.rows, names).map((name) => name && join(folder, name))
  const missing = found.filter((name) => name === null).length
  if (missing === found.length)
    throw new GapcamError(
      'USAGE',
      `--reference: ${path} names ${reference.rows[0]!.file} and no picture of ${folder}`,
      {
        hint: `The pictures there are called ${names.slice(0, 2).join(', ')}.`,
      },
    )
  return { reference, expected: expectedOf(reference, found, labels), missing }
}

/** The lines of a manifest for some changes, and a comment for each change that a manifest cannot say. */
function manifestLines(changes: readonly Change[]): string {
  const { x, y, width, height } = innerRegion
  return changes
    .flatMap(({ manifest, what }) =>
      manifest === null
        ? [`# ${what}: no line of a manifest; use --roi ${x},${y},${width},${height}`]
        : Object.entries(manifest).map(([key, value]) => `${key}: ${yamlOf(value)}`),
    )
    .map((line) => `${line}\n`)
    .join('')
}

/** Words as they are; lists as JSON, which YAML includes. */
const yamlOf = (value: unknown): string =>
  Array.isArray(value) ? `[${value.map((each) => JSON.stringify(each)).join(', ')}]` : String(value)

const phrase = (changes: readonly Change[]): string =>
  changes.length === 0 ? 'as assumed' : changes.map(({ what }) => what).join(' + ')

function reportOf(classifier: Classifier, { form }: Reference, result: CheckResult, compared: number): object {
  const { explanation, assumed, candidates, tried } = result
  return {
    file: classifier.path,
    assumptions: assumptionsOf(classifier),
    reference: form,
    pictures: compared,
    assumed,
    explanation: explanation && {
      changes: explanation.changes.map(({ aspect, what }) => ({ aspect, what })),
      agreement: explanation.agreement,
      distance: explanation.distance,
      others: explanation.others,
      manifest: manifestLines(explanation.changes),
    },
    tried: {
      pictures: tried,
      alternatives: shownOf(candidates).map(({ changes, agreement, distance }) => ({
        changes: changes.map(({ what }) => what),
        agreement,
        distance,
      })),
    },
  }
}

/** What was assumed, every single change, and the best combinations. */
function shownOf(candidates: CheckResult['candidates']): CheckResult['candidates'] {
  const best = candidates.slice(0, 5)
  return candidates.filter((each) => each.changes.length < 2 || best.includes(each))
}

function writeReport(classifier: Classifier, { form }: Reference, result: CheckResult, compared: number): void {
  const { explanation, assumed, candidates, tried } = result
  const percent = (share: number): string => `${(share * 100).toFixed(1)} %`
  const distance = (value: number | null): string => (value === null ? '' : value.toFixed(4))
  writeAssumptions(assumptionsOf(classifier))
  process.stdout.write(`\nreference: ${form}; alternatives tried on ${tried} of ${compared} pictures\n\n`)
  writeTable([
    ['alternative', 'same label', assumed.distance === null ? '' : 'distance of scores'],
    ...shownOf(candidates).map((each) => [phrase(each.changes), percent(each.agreement), distance(each.distance)]),
  ])
  const off = (value: number | null): string => (value === null ? '' : `, distance of scores ${distance(value)}`)
  process.stdout.write(
    `\nas assumed: ${percent(assumed.agreement)} of ${compared} pictures have the same label${off(assumed.distance)}\n`,
  )
  if (explanation) {
    const { changes, agreement, others } = explanation
    const also =
      others === 0 ? '' : ` (${others} other ${others === 1 ? 'combination fits' : 'combinations fit'} as well)`
    process.stdout.write(
      `best explanation: ${phrase(changes)}${also}: ${percent(agreement)}${off(explanation.distance)}\n\nlines for the manifest:\n${manifestLines(changes)}`,
    )
  } else if (isContradicted(result)) process.stdout.write('none of the alternatives explains the difference\n')
  else process.stdout.write('the assumptions fit\n')
}
