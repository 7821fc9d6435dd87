/** The model and what runs it: file, labels, manifest, self-test of the kernels, and answers that are known. */
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { loadAddon } from '../addon.js'
import { decodeFile } from '../pixels/decode.js'
import { openClassifier, type Classifier } from '../classifier.js'
import { modelOptions } from '../config/model.js'
import { selfTest } from '../engine/self-test.js'
import { frameOf } from '../frame.js'
import { checksOf, failureOf, type Check, type DoctorContext, type Examination } from './check.js'

const { ok, warn, fail, skip } = checksOf('model')
const photos = new URL('../../models/photos/', import.meta.url)
/** Enough to notice kernels that are wrong, few enough for a minute on a Pi. */
const goldenPhotos = 4

export const examineModel: Examination = async (context) => {
  const checks: Check[] = [await kernels()]
  let classifier: Classifier
  try {
    classifier = await openClassifier(modelOptions(context.config))
  } catch (error) {
    return [...checks, failureOf('model', 'model', error)]
  }
  try {
    const { engine, target, threads, reason, rejected } = classifier.engine.describe()
    checks.push(
      ok('model', `${classifier.path}, ${classifier.labels.length} labels, sha256 ${classifier.sha256.slice(0, 12)}`),
    )
    if (classifier.assumed.length > 0)
      checks.push(
        warn(
          'manifest',
          `assumed: ${classifier.assumed.join('; ')}`,
          'Write a manifest beside the model; docs/configuration.md has its fields.',
        ),
      )
    const served = `${engine} ${target}, ${threads} threads: ${reason}`
    const others = rejected.filter(({ reason: why }) => !reason.includes(why)) // what led to this engine is said already
    checks.push(
      engine === 'onnxruntime' && context.config.engine === 'auto'
        ? warn('engine', served, 'gapcam model info names what the native engine does not cover.')
        : ok('engine', [served, ...others.map(({ name, reason: why }) => `${name} no: ${why}`)].join('; ')),
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
  if ('reason' in loaded) return skip('self-test', 'there is no native engine to test')
  const wrong = await selfTest(loaded.addon, process.env['GAPCAM_TARGET'])
  return wrong === null
    ? ok('self-test', 'the kernels compute what plain loops compute')
    : fail(
        'self-test',
        `the native kernels are wrong on this processor: ${wrong}`,
        'Run with --engine onnxruntime, and report the processor (scripts/board/report.mjs).',
      )
}

/** Photographs whose label is known, through the whole way from pixels to label. Only the shipped model has them. */
async function golden(classifier: Classifier, { config }: DoctorContext): Promise<Check> {
  if (config.model !== '')
    return skip('golden answers', 'they are known of the model that comes with gapcam, not of this one')
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
    if (best?.index !== index) wrong.push(`${file} is ${label}, not ${best?.label ?? 'nothing'}`)
  }
  if (wrong.length > 0)
    return fail(
      'golden answers',
      wrong.join('; '),
      'Fetch the model again and compare its sha256 with models/README.md; if that is right, run with --engine onnxruntime and report it.',
    )
  return ok(
    'golden answers',
    `${goldenPhotos} photographs have the labels they should, ${((performance.now() - start) / goldenPhotos).toFixed(0)} ms each with decoding`,
  )
}
