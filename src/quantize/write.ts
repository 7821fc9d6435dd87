/**
 * The quantized graph in ONNX's QDQ form (opset 13 or later), which onnxruntime, OpenVINO, ncnn and gapcam read: unsigned 8-bit
 * activations, signed 8-bit weights per channel, 32-bit biases, float inputs and outputs. A Relu or Clip that ends a layer
 * goes, because the range of its output ends in the same place.
 */
import { floatConstant, type Constant, type Graph, type Node } from '../model/graph.js'
import type { Affine } from './ranges.js'
import type { Layer } from './selection.js'
import { quantizeBias, type QuantizedWeights } from './weights.js'

export interface QuantizedLayer {
  readonly layer: Layer
  readonly weights: QuantizedWeights | null
  /** Corrected biases in float, where the layer has weights. */
  readonly bias: Float64Array | null
}

const leastOpset = 13

/** Replaces `layers` in the graph; `affines` has scale and zero point of each of their inputs and outputs. */
export function writeQuantized(
  graph: Graph,
  layers: readonly QuantizedLayer[],
  affines: ReadonlyMap<string, Affine>,
): Graph {
  const writer = new Writer(graph, affines)
  const byNode = new Map(layers.map((quantized) => [quantized.layer.node, quantized]))
  const gone = new Set(layers.flatMap(({ layer }) => (layer.activation ? [layer.activation] : [])))
  for (const { name } of graph.inputs) writer.quantizeInput(name, layers)
  for (const node of graph.nodes) {
    const quantized = byNode.get(node)
    if (quantized) writer.layer(quantized)
    else if (!gone.has(node)) writer.float(node)
  }
  return writer.finish()
}

class Writer {
  readonly #graph: Graph
  readonly #affines: ReadonlyMap<string, Affine>
  readonly #nodes: Node[] = []
  readonly #constants: Map<string, Constant>
  /** By tensor: the dequantized value that its readers take. */
  readonly #dequantized = new Map<string, string>()
  readonly #outputs: ReadonlySet<string>

  constructor(graph: Graph, affines: ReadonlyMap<string, Affine>) {
    this.#graph = graph
    this.#affines = affines
    this.#constants = new Map(graph.constants)
    this.#outputs = new Set(graph.outputs.map(({ name }) => name))
  }

  quantizeInput(name: string, layers: readonly QuantizedLayer[]): void {
    if (layers.some(({ layer }) => layer.inputs.includes(name))) this.#round(name, name)
  }

  float(node: Node): void {
    this.#nodes.push({ ...node, inputs: node.inputs.map((name) => this.#dequantized.get(name) ?? name) })
  }

  layer({ layer, weights, bias }: QuantizedLayer): void {
    const { node, output } = layer
    const inputs = weights
      ? [this.#value(node.inputs[0]!), ...this.#constantsOf(layer, weights, bias)]
      : node.inputs.map((name) => this.#value(name))
    const raw = `${output}_float`
    this.#nodes.push({ ...node, inputs, outputs: [raw] })
    this.#round(raw, output)
  }

  /** A tensor in 8 bits; one that only float nodes made is rounded here. */
  #value(name: string): string {
    if (!this.#dequantized.has(name)) this.#round(name, name)
    return this.#dequantized.get(name)!
  }

  /** QuantizeLinear and DequantizeLinear of `from`, with the scale of `tensor`. An output keeps its name. */
  #round(from: string, tensor: string): void {
    const { scale, zeroPoint } = this.#affines.get(tensor)!
    const parameters = [
      this.#constant(`${tensor}_scale`, floatConstant([], Float32Array.of(scale))),
      this.#constant(`${tensor}_zero_point`, { type: 'uint8', shape: [], bytes: Uint8Array.of(zeroPoint) }),
    ]
    const quantized = `${tensor}_quantized`
    const dequantized = this.#outputs.has(tensor) ? tensor : `${tensor}_dequantized`
    this.#add('QuantizeLinear', [from, ...parameters], quantized)
    this.#add('DequantizeLinear', [quantized, ...parameters], dequantized)
    this.#dequantized.set(tensor, dequantized)
  }

  /** Weights and bias behind DequantizeLinear nodes. */
  #constantsOf({ node, inputs }: Layer, weights: QuantizedWeights, bias: Float64Array | null): readonly string[] {
    const name = node.inputs[1]!
    const scales = this.#constant(`${name}_scales`, floatConstant([weights.scales.length], weights.scales))
    const zeros = this.#constant(`${name}_zero_points`, {
      type: 'int8',
      shape: [weights.scales.length],
      bytes: new Uint8Array(weights.scales.length),
    })
    const values = this.#constant(`${name}_quantized`, {
      type: 'int8',
      shape: weights.shape,
      bytes: new Uint8Array(weights.values.buffer, weights.values.byteOffset, weights.values.byteLength),
    })
    const real = this.#add('DequantizeLinear', [values, scales, zeros], `${node.name}_weights`, weights.axis)
    this.#constants.delete(name)
    if (!bias || node.op === 'MatMul') return [real]
    const { scale } = this.#affines.get(inputs[0]!)!
    const biasScales = this.#constant(
      `${node.name}_bias_scales`,
      floatConstant(
        [weights.scales.length],
        weights.scales.map((value) => value * scale),
      ),
    )
    const steps = this.#constant(`${node.name}_bias_quantized`, quantizeBias(bias, scale, weights.scales))
    return [real, this.#add('DequantizeLinear', [steps, biasScales], `${node.name}_bias`, 0)]
  }

  #constant(name: string, constant: Constant): string {
    this.#constants.set(name, constant)
    return name
  }

  #add(op: string, inputs: readonly string[], output: string, axis?: number): string {
    const attributes: Node['attributes'] = axis === undefined ? {} : { axis: { kind: 'int', value: axis } }
    this.#nodes.push({ name: `${op}_${output}`, op, domain: '', attributes, inputs, outputs: [output] })
    return output
  }

  finish(): Graph {
    const used = new Set(this.#nodes.flatMap(({ inputs }) => inputs))
    const constants = new Map([...this.#constants].filter(([name]) => used.has(name)))
    const values = new Map([...this.#graph.inputs, ...this.#graph.outputs].map((value) => [value.name, value]))
    return { ...this.#graph, opset: Math.max(this.#graph.opset, leastOpset), nodes: this.#nodes, constants, values }
  }
}
