/** Random quantised networks: on bytes, on either type of byte and in float32, near what onnxruntime computes. */
import { describe, expect, it } from 'vitest'
import type { ModelSpec, NodeSpec, Weight } from '../../onnx-builder.js'
import { Random } from '../../random.js'
import { modelFolder } from '../outputs.js'
import { byteSteps, code, dequantize, integers, node, quantize, valuesOf } from './graphs.js'

const write = modelFolder()

interface Point {
  readonly name: string
  readonly channels: number
  readonly side: number
}

/** Draws a network layer by layer. Every value is quantised. */
class RandomNetwork {
  readonly nodes: NodeSpec[] = []
  readonly weights: Record<string, Weight> = {}
  readonly #random: Random
  #count = 0

  constructor(seed: number) {
    this.#random = new Random(seed)
  }

  /** The value rounded to bytes of a new code. */
  #rounded(value: string, scale: number): string {
    const name = `v${this.#count++}`
    Object.assign(this.weights, code(name, scale, this.#random.between(60, 190)))
    this.nodes.push(quantize(value, `${name}.q`, name), dequantize(`${name}.q`, name, name))
    return name
  }

  input(): Point {
    Object.assign(this.weights, code('input', 0.02, 128))
    this.nodes.push(dequantize('input', 'start', 'input'))
    return { name: 'start', channels: 4, side: 12 }
  }

  layer(x: Point): Point {
    const [isWide, isEven] = [x.side > 3, x.side % 2 === 0]
    const kinds = [
      'conv',
      'conv',
      'depthwise',
      'residual',
      ...(isWide ? ['max', 'average'] : []),
      ...(isEven ? ['concat'] : []),
    ]
    switch (this.#random.pick(kinds)) {
      case 'conv':
        return this.#conv(x, this.#random.between(2, 12), 1, this.#random.pick([1, 3]))
      case 'depthwise':
        return this.#conv(x, x.channels, x.channels, 3)
      case 'residual':
        return this.#sum(x, this.#conv(x, x.channels, 1, 1))
      case 'max':
        return this.#pool('MaxPool', x)
      case 'average':
        return this.#pool('AveragePool', x)
      default:
        return this.#concat(x, this.#conv(x, 3, 1, 1))
    }
  }

  #conv(x: Point, channels: number, group: number, kernel: number): Point {
    const name = `c${this.#count++}`
    const depth = (x.channels / group) * kernel * kernel
    const scales = Array.from({ length: channels }, () => 0.002 + 0.01 * this.#random.next())
    Object.assign(this.weights, code(`${name}.w`, scales, 0, 'int8'), {
      [`${name}.stored`]: integers(
        [channels, x.channels / group, kernel, kernel],
        -127,
        127,
        this.#random.between(1, 1e6),
      ),
    })
    const pad = (kernel - 1) / 2
    this.nodes.push(
      dequantize(`${name}.stored`, `${name}.real`, `${name}.w`, 0),
      node('Conv', `${x.name} ${name}.real`, name, { group, pads: [pad, pad, pad, pad] }),
    )
    const isClipped = this.#random.next() < 0.5
    if (isClipped) this.nodes.push(node('Relu', name, `${name}.relu`))
    const rounded = this.#rounded(isClipped ? `${name}.relu` : name, 0.01 * Math.sqrt(depth))
    return { name: rounded, channels, side: x.side }
  }

  #sum(x: Point, y: Point): Point {
    const name = `s${this.#count++}`
    this.nodes.push(node('Add', this.#random.next() < 0.5 ? `${x.name} ${y.name}` : `${y.name} ${x.name}`, name))
    return { ...x, name: this.#rounded(name, 0.05) }
  }

  #pool(op: string, x: Point): Point {
    const name = `p${this.#count++}`
    this.nodes.push(node(op, x.name, name, { kernel_shape: [2, 2], strides: [2, 2] }))
    return { ...x, name: this.#rounded(name, 0.03), side: Math.floor(x.side / 2) }
  }

  #concat(x: Point, y: Point): Point {
    const name = `j${this.#count++}`
    this.nodes.push(node('Concat', `${x.name} ${y.name}`, name, { axis: 1 }))
    return { name: this.#rounded(name, 0.04), channels: x.channels + y.channels, side: x.side }
  }

  finish(x: Point): ModelSpec {
    Object.assign(this.weights, code('y', 0.02, 100))
    this.nodes.push(node('GlobalAveragePool', x.name, 'mean'), quantize('mean', 'y', 'y'))
    return {
      nodes: this.nodes,
      weights: this.weights,
      inputs: { input: [1, 4, 12, 12] },
      outputs: { y: [1, x.channels, 1, 1] },
      codes: { input: 'uint8', y: 'uint8' },
    }
  }
}

function networkOf(seed: number): ModelSpec {
  const network = new RandomNetwork(seed)
  let at = network.input()
  for (let layer = 0; layer < 5; layer++) at = network.layer(at)
  return network.finish(at)
}

const worst = (one: readonly number[], other: readonly number[]): number =>
  one.reduce((most, value, i) => Math.max(most, Math.abs(value - other[i]!)), 0)

describe.each(Array.from({ length: 24 }, (_, i) => i + 1))('network %i', (seed) => {
  it('has no float steps between its ends, and computes what onnxruntime computes', async () => {
    const spec = networkOf(seed)
    const path = write(`random ${seed}`, spec)
    const kinds = byteSteps(spec)
    expect(kinds.filter((kind) => ['conv2d', 'chain', 'binary', 'reduce', 'elementwise'].includes(kind))).toEqual([])
    expect(kinds.filter((kind) => kind === 'quantize')).toHaveLength(1)
    const right = await valuesOf(path, spec, { engine: 'onnxruntime' })
    const bytes = await valuesOf(path, spec, { engine: 'native', integers: true })
    const real = await valuesOf(path, spec, { engine: 'native', integers: false })
    // An average may differ by one step, which the layers behind it multiply; all else is equal.
    const hasAverage = spec.nodes.some(({ op }) => op === 'AveragePool')
    expect(worst(bytes, right)).toBeLessThanOrEqual(hasAverage ? 6 : 0)
    expect(worst(real, right)).toBeLessThanOrEqual(6)
    expect(await valuesOf(path, spec, { engine: 'native', integers: true, target: 'scalar' })).toEqual(bytes)
  })
})
