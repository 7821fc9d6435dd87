/** Pictures with the scores that are expected of them: a bundle shows them to this very board's engine before it may serve. */
import { join } from 'node:path'
import type { Classifier } from '../classifier.js'
import { GapcamError } from '../errors.js'
import { frameOf } from '../frame.js'
import { decodeFile } from '../pixels/decode.js'
import type { BundleManifest, GoldenPicture, Tolerances } from './manifest.js'

/**
 * Default tolerances. Engines round differently, and a decoder of JPEG may differ by one step of brightness; a wrong kernel or
 * a wrong preprocessing differs by far more.
 */
export const defaultTolerances: Tolerances = { native: 0.02, cuda: 0.03, onnxruntime: 0.02 }

/** The labels of one picture with their scores, best first. Rejects with PICTURE_INVALID and ENGINE_FAILED. */
export async function answerOf(classifier: Classifier, file: string): Promise<GoldenPicture['top']> {
  const outcome = await classifier.classify(frameOf(await decodeFile(file)))
  if (outcome.ok) return outcome.prediction.top.map(({ label, score }) => ({ label, score }))
  throw new GapcamError('ENGINE_FAILED', `picture ${file}: ${outcome.reason}`)
}

/** What differs for one picture; null if it is as expected. */
export function differenceOf(
  expected: GoldenPicture['top'],
  found: GoldenPicture['top'],
  tolerance: number,
): string | null {
  for (const { label, score } of expected) {
    const own = found.find((other) => other.label === label)
    if (own) {
      const difference = Math.abs(own.score - score)
      if (!(difference <= tolerance)) return `${label} has the score ${own.score.toFixed(4)}, not ${score.toFixed(4)}`
    } else if (score > (found.at(-1)?.score ?? 0) + tolerance)
      return `${label} is not among the best labels; its score should be ${score.toFixed(4)}`
  }
  return null
}

/** How the golden pictures went. */
export interface Rehearsal {
  readonly pictures: number
  readonly engine: string
  readonly tolerance: number
}

/**
 * Shows the pictures of a bundle in `folder` to its classifier. Rejects with BUNDLE_REFUSED for the first one that differs,
 * and with ENGINE_FAILED.
 */
export async function rehearse(
  { name, version, golden }: BundleManifest,
  folder: string,
  classifier: Classifier,
): Promise<Rehearsal> {
  const { engine, target } = classifier.engine.describe()
  const tolerance = golden.tolerance[engine]
  for (const { path, top } of golden.pictures) {
    const wrong = differenceOf(top, await answerOf(classifier, join(folder, path)), tolerance)
    if (wrong === null) continue
    throw new GapcamError('BUNDLE_REFUSED', `${name} ${version}: ${path} on engine ${engine} ${target}: ${wrong}`, {
      hint: 'gapcam doctor checks the engine. A bundle that was packed with other preprocessing fails like this too.',
    })
  }
  return { pictures: golden.pictures.length, engine: `${engine} ${target}`, tolerance }
}
