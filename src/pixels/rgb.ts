/** One frame as people see it. */
import type { Frame } from '../frame.js'
import type { RgbImage } from './image.js'
import { createPreprocessor } from './preprocess.js'
import type { PreprocessSpec } from './spec.js'

/**
 * A frame as RGB levels. `spec` is one of `rgbLevels`, with a region or a turn where that is wanted. For single frames: a
 * stream keeps its preprocessor open. The caller owns the picture. Rejects as `Preprocessor.run`.
 */
export async function rgbOf(frame: Frame, spec: PreprocessSpec): Promise<RgbImage> {
  const { width, height } = spec
  const pass = createPreprocessor(spec)
  try {
    const data = new Uint8Array(width * height * 3)
    await pass.run(frame, data)
    return { data, width, height }
  } finally {
    pass.close()
  }
}
