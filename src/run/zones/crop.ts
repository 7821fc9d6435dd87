/** A zone's part of a picture as the zone's network sees it: cut out, masked and turned, as a JPEG. */
import type { Classifier } from '../../classifier.js'
import { frameOf } from '../../frame.js'
import { encodeJpeg } from '../../pixels/jpeg.js'
import { createPreprocessor } from '../../pixels/preprocess.js'
import { cutSize, viewOfShape } from '../../pixels/shape.js'
import { rgbLevels, type Region } from '../../pixels/spec.js'
import type { ZoneDefinition } from '../../zone/definition.js'
import type { Picture } from '../../zone/picture.js'

/** What of the picture is wanted. */
interface Wanted {
  readonly definition: Pick<ZoneDefinition, 'shape' | 'mask' | 'turn'>
  /** The part that a setting names; null: all of the picture, or the shape. */
  readonly roi: Region | null
  /** The longer side, pixels. */
  readonly mostSide: number
  /** Says which colour a mask has. */
  readonly classifier: Pick<Classifier, 'preprocessing'> | null
}

const whole: Region = { x: 0, y: 0, width: 1, height: 1 }
const quality = 95

/** Cuts the part out. */
export async function crop(picture: Picture, { definition, roi, mostSide, classifier }: Wanted): Promise<Buffer> {
  const { shape, mask, turn } = definition
  const levels = classifier?.preprocessing() ?? rgbLevels(1, 1)
  const view = shape === null ? { roi: roi ?? whole, mask: undefined } : viewOfShape(shape, mask, levels)
  const { width, height } = cutSize(picture, view.roi, { ...turn, mostSide })
  const pass = createPreprocessor({ ...rgbLevels(width, height), ...turn, ...view })
  try {
    const rgb = new Uint8Array(width * height * 3)
    await pass.run(frameOf({ data: picture.rgb, width: picture.width, height: picture.height }), rgb)
    return await encodeJpeg({ rgb, width, height }, quality)
  } finally {
    pass.close()
  }
}
