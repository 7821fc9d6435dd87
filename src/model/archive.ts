/**
 * Zip archives as tools let people download them: a model with its labels (Teachable Machine, Custom Vision), and the files
 * that TFLite appends to a model. Names are looked at, never used as paths; sizes are bounded before anything is unpacked.
 */
import { unzipSync } from 'fflate'
import { GapcamError, messageOf } from '../errors.js'
import { refuseForeign } from './foreign.js'

/** More entries than any export has; a list that is longer was made to be long. */
const maxEntries = 1000
/** One unpacked file. Weights above this do not fit a small board anyway. */
const maxBytes = 2 ** 30

/** Whether bytes begin as a zip archive does. */
export function isZip(bytes: Uint8Array): boolean {
  return bytes.length > 22 && bytes[0] === 0x50 && bytes[1] === 0x4b && bytes[2] === 3 && bytes[3] === 4
}

/** Whether bytes end with the directory of a zip archive, which may have a comment of up to 64 KiB behind it. */
export function endsWithZip(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(-65_557)).includes('PK\u0005\u0006')
}

/**
 * Unpacks the files of an archive that `isWanted` names, by their names in the archive. `bytes` may begin with other data, as
 * a TFLite model does. Throws MODEL_INVALID for an archive that is damaged or too large.
 */
export function unzip(bytes: Uint8Array, isWanted: (name: string) => boolean): ReadonlyMap<string, Uint8Array> {
  let entries = 0
  try {
    const files = unzipSync(bytes, {
      filter: ({ name, originalSize }) => {
        if (++entries > maxEntries)
          throw new GapcamError('MODEL_INVALID', `the zip archive has more than ${maxEntries} files`)
        if (!isWanted(name)) return false
        if (originalSize > maxBytes)
          throw new GapcamError('MODEL_INVALID', `${name} in the zip archive is larger than 1 GiB`)
        return true
      },
    })
    return new Map(Object.entries(files))
  } catch (error) {
    if (error instanceof GapcamError) throw error
    throw new GapcamError('MODEL_INVALID', `the zip archive is damaged: ${messageOf(error)}`)
  }
}

/** Files that hold a model, in order of preference: an archive with a float and an 8-bit model is of two minds. */
const modelName = /\.(onnx|tflite)$/i
/** Files of other programs that tools put into archives, to say what an archive without a model holds. */
const foreignName = /\.(h5|keras|pb|pt|pth|pte|json|xml|engine|hef|safetensors)$/i
const labelsName = /(^|\/)(labels?|labelmap|classes)\.txt$/i

/**
 * The one model of an archive, and its label file where there is one. Throws MODEL_INVALID unless exactly one is there, and
 * MODEL_UNSUPPORTED where another program's model is there instead.
 */
export function modelInside(bytes: Uint8Array): { readonly model: Uint8Array; readonly labels: Uint8Array | null } {
  const files = unzip(bytes, (name) => !name.startsWith('__MACOSX/') && (modelName.test(name) || labelsName.test(name)))
  const models = [...files.keys()].filter((name) => modelName.test(name))
  const [only] = models
  if (only === undefined)
    for (const [name, file] of unzip(bytes, (other) => foreignName.test(other)))
      refuseForeign(file, `${name} in the zip archive`)
  if (only === undefined || models.length > 1) {
    const found = models.length === 0 ? 'no .onnx or .tflite file' : models.join(', ')
    throw new GapcamError('MODEL_INVALID', `the zip archive has ${found}`, {
      hint:
        models.length === 0
          ? 'Name a model file, or an archive with one; export the model as ONNX or TFLite where there is none.'
          : 'Unpack it and name the model file.',
    })
  }
  const labels = [...files].find(([name]) => labelsName.test(name))
  return { model: files.get(only)!, labels: labels?.[1] ?? null }
}
