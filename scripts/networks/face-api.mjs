// What the converters of the networks of the npm package @vladmandic/face-api 1.7.15 (MIT) share: its weights, and its own code as the
// reference. The folder is that of the unpacked package.
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { madeNode } from '../../dist/model/graph.js'

/**
 * The weights of a network: `tensors` by name with { shape, data }, and the same for the package's code. Throws where a file has another
 * digest. Quantised tensors are bytes: a float is min + scale × byte, in double precision as the package computes it.
 */
export function readWeights(folder, name, digests) {
  const [bytes, manifest] = ['.bin', '-weights_manifest.json'].map((ending, i) => {
    const file = join(folder, 'model', `${name}_model${ending}`)
    const content = readFileSync(file)
    const found = createHash('sha256').update(content).digest('hex')
    if (found !== digests[i])
      throw new Error(`${file} has the digest ${found} instead of ${digests[i]}: it is of another version`)
    return content
  })
  const [{ weights }] = JSON.parse(manifest.toString())
  const tensors = new Map()
  let at = 0
  for (const { name: key, shape, quantization } of weights) {
    const count = shape.reduce((product, size) => product * size, 1)
    const length = quantization ? count : count * 4
    const own = bytes.subarray(at, at + length)
    const data = quantization
      ? Float32Array.from(own, (byte) => byte * quantization.scale + quantization.min)
      : new Float32Array(new Uint8Array(own).buffer)
    tensors.set(key, { shape, data })
    at += length
  }
  const whole = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length)
  return { tensors, whole, list: weights }
}

/** The package's code, and a function that loads weights into one of its networks. */
export async function loadPackage(folder) {
  // The bundle is for browsers: in a program that looks like Node it asks for modules that it does not hold.
  const { versions } = process
  Object.defineProperty(process, 'versions', { value: {}, configurable: true })
  const faceapi = await import(pathToFileURL(resolve(folder, 'dist/face-api.esm.js')).href)
  Object.defineProperty(process, 'versions', { value: versions, configurable: true })
  const { tf } = faceapi
  tf.env().setPlatform('program', { isTypedArray: (value) => ArrayBuffer.isView(value), now: () => performance.now() })
  await tf.setBackend('cpu')
  await tf.ready()
  const fill = (net, { whole, list }) => net.loadFromWeightMap(tf.io.decodeWeights(whole, list))
  return { faceapi, tf, fill }
}

/** Nodes and constants of a network under construction. */
export function builder() {
  const [nodes, constants] = [[], new Map()]
  const add = (op, inputs, output, attributes = {}) => {
    nodes.push(madeNode(op, { inputs, output, attributes }))
    return output
  }
  return { nodes, constants, add }
}

/** The graph of a builder; `inputs` and `outputs` are shapes by name. */
export function graphOf(name, { nodes, constants }, inputs, outputs) {
  const values = (shapes) => Object.entries(shapes).map(([key, shape]) => ({ name: key, type: 'float32', shape }))
  const [given, made] = [values(inputs), values(outputs)]
  return {
    opset: 13,
    name,
    inputs: given,
    outputs: made,
    nodes,
    constants,
    values: new Map([...given, ...made].map((each) => [each.name, each])),
  }
}

/** A list of whole numbers as an attribute. */
export const ints = (value) => ({ kind: 'ints', value })
