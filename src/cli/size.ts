/** The input size with which a command opens a model. */
import { findManifest } from '../model/metadata/manifest.js'
import type { LoadedModel } from '../model/onnx/onnx.js'
import type { InputSize } from '../tensor.js'

/** What was asked for; else, where the model leaves it open, its manifest's or 224 by 224. */
export async function sizeFor(model: LoadedModel, asked: InputSize | undefined): Promise<InputSize | undefined> {
  if (asked) return asked
  if (!model.graph.inputs.some(({ shape }) => shape?.some((size, axis) => axis > 0 && typeof size !== 'number')))
    return undefined
  const [height, width] = (await findManifest(model)).manifest.inputSize ?? [224, 224]
  return { height, width }
}
