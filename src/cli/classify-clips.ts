/** Models that look at clips, on the command line. */
import type { Classifier } from '../classifier.js'
import type { Prediction } from '../decision/prediction.js'
import { GapcamError } from '../errors.js'
import type { ClipShow } from '../engine/clip-show.js'
import { readClip } from './clip-files.js'

/** Throws MODEL_UNSUPPORTED for a model that looks at clips, in a command that shows it single pictures. */
export function demandPictures({ clip, path, taskSentence }: Classifier): void {
  if (clip)
    throw new GapcamError(
      'MODEL_UNSUPPORTED',
      `model ${path} looks at clips (${taskSentence}), and this needs single pictures`,
      {
        hint: 'gapcam classify shows it clips: folders, recordings, videos.',
      },
    )
}

/** What a view says of a clip. Rejects with PICTURE_INVALID, FRAME_INVALID and ENGINE_*. */
export async function showClip(path: string, frames: number, show: ClipShow): Promise<Prediction> {
  const outcome = await show.show(await readClip(path, frames))
  if (outcome.ok) return outcome.prediction
  if (outcome.reason === 'frame_invalid') throw outcome.error
  const why = outcome.reason === 'clip_short' ? outcome.detail : outcome.reason
  throw new GapcamError('ENGINE_FAILED', `clip ${path}: the model gave no scores (${why})`)
}
