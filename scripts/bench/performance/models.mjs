// The networks that are measured by default: those of GAPCAM_SHARED, else the shipped ones.
import { existsSync, readdirSync } from 'node:fs'
import { basename, join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../../', import.meta.url))

/** The first folder of this name that exists in a shared folder. */
const sharedFolder = (name) =>
  [process.env.GAPCAM_SHARED, join(root, '../shared'), join(root, 'shared')]
    .filter(Boolean)
    .map((shared) => join(shared, name))
    .find(existsSync)

/** Paths of the 8-bit files that are measured, those with a name that ends so; none without a shared folder. */
export function eightBitFiles(ending = '') {
  const folder = sharedFolder('models')
  return ['mobilenet-v2-int8.onnx', 'mobilenet-v2-uint8.tflite', 'efficientnet-lite0-int8.onnx'].flatMap((name) =>
    name.endsWith(ending) && folder && existsSync(join(folder, name)) ? [join(folder, name)] : [],
  )
}

/** Paths of the ONNX files, by name. */
export function zoo() {
  const folder = sharedFolder('zoo') ?? join(root, 'models')
  return readdirSync(folder)
    .filter((name) => name.endsWith('.onnx'))
    .sort()
    .map((name) => join(folder, name))
}

/** The name of a model in results. */
export const nameOf = (file) => basename(file, '.onnx')

/** Options for opening a graph: 224 by 224 where its input size is free. */
export function sizeFor({ inputs: [input] }) {
  return input.shape.some((size, axis) => axis > 0 && typeof size !== 'number')
    ? { inputSize: { height: 224, width: 224 } }
    : {}
}
