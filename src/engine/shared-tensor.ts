/** Tensors in memory that the program and the onnxruntime worker both see. */
import { elementBytes, elementCount, tensorArrays, type TensorInfo } from '../tensor.js'
import type { EngineTensor } from './engine.js'

/** A zeroed tensor in shared memory, in the model file's own order. */
export function sharedTensor(info: TensorInfo): EngineTensor {
  const memory = new SharedArrayBuffer(elementCount(info.shape) * elementBytes[info.type])
  return {
    name: info.name,
    type: info.type,
    shape: info.shape,
    layout: info.layout,
    data: new tensorArrays[info.type](memory),
    inFileOrder: true,
  }
}
