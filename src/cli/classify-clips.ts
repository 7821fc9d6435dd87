/** `gapcam classify` with a model that looks at clips: each folder is one clip, its pictures are the frames in order of name. */
import { stat } from 'node:fs/promises'
import { picturesIn } from '../camera/pictures.js'
import type { Classifier } from '../classifier.js'
import type { Prediction } from '../decision/prediction.js'
import type { ClassifierView } from '../engine/classify.js'
import { fileFaultOf, GapcamError } from '../errors.js'
import { frameOf } from '../frame.js'
import { decodeFile } from '../pixels/decode.js'

/** The pictures of a folder that make a clip: as many as it has frames, evenly spread. Rejects with PICTURE_INVALID. */
export async function clipIn(folder: string, frames: number): Promise<readonly string[]> {
  const info = await stat(folder).catch((error: unknown) => {
    throw new GapcamError('PICTURE_INVALID', `${folder}: ${fileFaultOf(error)}`)
  })
  const files = info.isDirectory() ? await picturesIn(folder) : []
  if (files.length < frames)
    throw new GapcamError(
      'PICTURE_INVALID',
      `${folder} is no clip: it ${info.isDirectory() ? `has ${files.length} pictures` : 'is a file'}, and the model looks at clips of ${frames} frames`,
      {
        hint: 'Name a folder with the frames as pictures, in order of name; ffmpeg -i VIDEO FOLDER/%04d.jpg makes one.',
      },
    )
  return Array.from({ length: frames }, (_, i) => files[Math.round((i * (files.length - 1)) / (frames - 1))]!)
}

/** Throws MODEL_UNSUPPORTED for a model that looks at clips, in a command that shows it single pictures. */
export function demandPictures({ clip, path, taskSentence }: Classifier): void {
  if (clip)
    throw new GapcamError(
      'MODEL_UNSUPPORTED',
      `model ${path} looks at clips (${taskSentence}), and this needs single pictures`,
      {
        hint: 'gapcam classify shows it folders, each as one clip.',
      },
    )
}

/** Shows clips to a view, one after the other, as if their frames came in time. */
export class ClipShow {
  readonly #view: ClassifierView
  readonly #clip: NonNullable<Classifier['clip']>
  #nowNs = 0n

  constructor(view: ClassifierView, clip: NonNullable<Classifier['clip']>) {
    this.#view = view
    this.#clip = clip
  }

  /** What the view says of the clip in a folder. Rejects with PICTURE_INVALID, FRAME_INVALID and ENGINE_*. */
  async show(folder: string): Promise<Prediction> {
    const { frames, everyMs } = this.#clip
    const files = await clipIn(folder, frames)
    let why = ''
    for (const [i, file] of files.entries()) {
      // Clips follow each other at a distance, so that none has a frame of the one before.
      this.#nowNs += BigInt(Math.round((i === 0 ? 10 * frames : 1) * everyMs * 1e6))
      const frame = frameOf(await decodeFile(file), { seq: i + 1, file, capturedNs: this.#nowNs })
      const outcome = await this.#view.classify(frame)
      if (outcome.ok && i === files.length - 1) return outcome.prediction
      if (!outcome.ok && outcome.reason === 'frame_invalid') throw outcome.error
      if (!outcome.ok) why = outcome.reason === 'clip_short' ? outcome.detail : outcome.reason
    }
    throw new GapcamError('ENGINE_FAILED', `clip ${folder}: the model gave no scores (${why})`)
  }
}
