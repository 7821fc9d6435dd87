/** Checks the model and its engine: file, labels, manifest, self-test of the kernels, and photographs with a known label. */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { loadAddon } from '../addon.js'
import { decodeFile } from '../pixels/decode.js'
import { openClassifier, type Classifier } from '../classifier.js'
import { modelOptions } from '../config/model.js'
import { bytesFor } from '../engine/bytes.js'
import { integerTest } from '../engine/integer-test.js'
import { bestTarget } from '../engine/select.js'
import { selfTest } from '../engine/self-test.js'
import { frameOf } from '../frame.js'
import { checksOf, failureOf, type Check, type DoctorContext, type Examination } from './check.js'

const { ok, warn, fail, skip } = checksOf('model')
const photos = new URL('../../models/photos/', import.meta.url)
/** Enough to reveal wrong kernels, and few enough to take less than a minute on a Pi. */
const goldenPhotos = 4

/** The checks of the area `model`. */
export const examineModel: Examination = async (context) => {
  const checks: Check[] = [await kernels()]
  let classifier: Classifier
  try {
    classifier = await openClassifier({ ...modelOptions(context.config), planCache: undefined })
  } catch (error) {
    return [...checks, failureOf('model', 'model', error)]
  }
  try {
    const { engine, target, threads, reason, rejected } = classifier.engine.describe()
    checks.push(
      ok('model', `${classifier.path}, ${classifier.labels.length} labels, sha256 ${classifier.sha256.slice(0, 12)}`),
      ok('scores', `output ${classifier.output.name}: ${classifier.reading.sentence}`),
    )
    if (classifier.assumed.length > 0)
      checks.push(
        warn(
          'manifest',
          `assumed: ${classifier.assumed.join('; ')}`,
          'Write a manifest beside the model. docs/configuration.md lists its fields.',
        ),
      )
    const served = `${engine} ${target}, ${threads} threads: ${reason}`
    const others = rejected.filter(({ reason: why }) => !reason.includes(why)) // the rest is part of `reason`
    checks.push(
      engine === 'onnxruntime' && context.config.engine === 'auto'
        ? warn('engine', served, 'gapcam model info names what the native engine does not support.')
        : ok('engine', [served, ...others.map(({ name, reason: why }) => `not ${name}: ${why}`)].join('; ')),
    )
    checks.push(await golden(classifier, context))
  } catch (error) {
    checks.push(failureOf('model', 'golden answers', error))
  } finally {
    await classifier.close()
  }
  return checks
}

async function kernels(): Promise<Check> {
  const loaded = loadAddon()
  if ('reason' in loaded) return skip('self-test', 'there is no native engine')
  const { addon } = loaded
  const target = process.env['GAPCAM_TARGET'] ?? bestTarget(addon)
  const type = bytesFor(target, undefined)
  const wrong = (await selfTest(addon, target)) ?? (type === null ? null : await integerTest(addon, target, type))
  return wrong === null
    ? ok('self-test', 'the kernels agree with plain loops')
    : fail(
        'self-test',
        `the native kernels give wrong results on this processor: ${wrong}`,
        'Run with --engine onnxruntime, and report the processor (scripts/board/report.mjs).',
      )
}

/** Classifies photographs with a known label, from file to label. Only the shipped model has such photographs. */
async function golden(classifier: Classifier, { config }: DoctorContext): Promise<Check> {
  if (config.model !== '')
    return skip('golden answers', 'only the model that comes with gapcam has photographs with a known label')
  const list = JSON.parse(await readFile(new URL('photos.json', photos), 'utf8')) as readonly {
    readonly file: string
    readonly index: number
    readonly label: string
  }[]
  const wrong: string[] = []
  const start = performance.now()
  for (const { file, index, label } of list.slice(0, goldenPhotos)) {
    const outcome = await classifier.classify(frameOf(await decodeFile(fileURLToPath(new URL(file, photos)))))
    const best = outcome.ok ? outcome.prediction.top[0] : undefined
    if (best?.index !== index) wrong.push(`${file} shows ${label}, but the model says ${best?.label ?? 'nothing'}`)
  }
  if (wrong.length > 0)
    return fail(
      'golden answers',
      wrong.join('; '),
      'Compare the sha256 of the model with models/README.md, and download it again if it differs. If it is right, use --engine onnxruntime and report the bug.',
    )
  return ok(
    'golden answers',
    `${goldenPhotos} photographs get the right label, ${((performance.now() - start) / goldenPhotos).toFixed(0)} ms each including decoding`,
  )
}
