/** Tensors in memory that the main thread and the onnxruntime worker share. */
import { elementBytes, elementCount, tensorArrays, type TensorInfo } from '../tensor.js'
import type { EngineTensor } from './engine.js'

/** Allocates a zeroed tensor in shared memory, in the model file's order. */
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
