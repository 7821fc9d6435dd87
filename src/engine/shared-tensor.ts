/** Tensors in memory that the main thread and the onnxruntime worker share. */
import { elementBytes, elementCount, tensorArrays, type TensorInfo } from '../tensor.js'
import type { EngineTensor } from './engine.js'

/** An output of a run that is larger is an error. */
const mostOpenBytes = 2 ** 24
const mostAxes = 8

/** Allocates a tensor as `sharedTensor` does, whose memory grows when a run has more elements. */
export function openTensor(info: TensorInfo): EngineTensor {
  const length = elementCount(info.shape)
  const options = { maxByteLength: mostOpenBytes }
  const Memory = SharedArrayBuffer as new (bytes: number, options: { maxByteLength: number }) => SharedArrayBuffer
  const memory = new Memory(length * elementBytes[info.type], options)
  const live = new Int32Array(new SharedArrayBuffer(4 * (2 + mostAxes)))
  live.set([length, info.shape.length, ...info.shape])
  return {
    ...sharedTensor({ ...info, shape: [0] }),
    shape: info.shape,
    data: new tensorArrays[info.type](memory),
    live,
  }
}

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
