/** Runs a classifier on pictures prepared in several ways, and keeps its outputs. A picture is decoded once for all of them. */
import type { Classifier } from '../classifier.js'
import { GapcamError, isOfOnePicture } from '../errors.js'
import { frameOf } from '../frame.js'
import { decodeFile } from '../pixels/decode.js'
import type { InputSize } from '../tensor.js'
import type { Look } from './alternatives.js'

/** What the model made of the pictures. */
export interface Trial {
  /** The pictures that could be read. */
  readonly pictures: readonly string[]
  /** The outputs, dequantised, of each way for each picture: [way][picture]; null where they are not finite. */
  readonly outputs: readonly (readonly (Float32Array | null)[])[]
  /** What was wrong with the pictures that could not be read. */
  readonly faults: readonly GapcamError[]
}

/** Opens the model for pictures of another size. Rejects where its network cannot have that size. */
export type OpenAt = (size: InputSize) => Promise<Classifier>

/** Tries every way on every picture. Rejects with ENGINE_FAILED. `onProgress` is told how many pictures are done. */
export async function tryLooks(
  classifier: Classifier,
  looks: readonly Look[],
  pictures: readonly string[],
  onProgress: (done: number) => void,
): Promise<Trial> {
  const views = looks.map(({ view }) => classifier.view(view, 1))
  const outputs = looks.map((): (Float32Array | null)[] => [])
  const [read, faults]: [string[], GapcamError[]] = [[], []]
  try {
    for (const [i, picture] of pictures.entries()) {
      try {
        const image = await decodeFile(picture)
        for (const [k, view] of views.entries()) {
          const outcome = await view.classify(frameOf(image))
          if (!outcome.ok && outcome.reason === 'frame_invalid') throw outcome.error
          outputs[k]!.push(outcome.ok ? outcome.prediction.logits.slice() : null)
        }
        read.push(picture)
      } catch (error) {
        if (!isOfOnePicture(error)) throw error
        faults.push(error)
        for (const rows of outputs) rows.length = read.length
      }
      onProgress(i + 1)
    }
    return { pictures: read, outputs, faults }
  } finally {
    for (const view of views) view.close()
  }
}

/**
 * The ways at one other size, with the model opened for it; null where its network cannot have that size, which onnxruntime may
 * tell only when it runs.
 */
export async function trySize(
  openAt: OpenAt,
  size: InputSize,
  looks: readonly Look[],
  pictures: readonly string[],
): Promise<Trial | null> {
  try {
    const classifier = await openAt(size)
    try {
      return await tryLooks(classifier, looks, pictures, () => undefined)
    } finally {
      await classifier.close()
    }
  } catch (error) {
    if (error instanceof GapcamError) return null
    throw error
  }
}
