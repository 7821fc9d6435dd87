/** How a graph of the corpus is described: small, seeded, with odd channel counts. */
import { Net } from '../../net.js'
import { floats, int64, type AttributeValue } from '../../onnx-builder.js'
import { Random } from '../../random.js'

/** A network with short names for the nodes that exporters write. */
export class GraphBuilder extends Net {
  scalar(value: number): string {
    return this.constant(floats([], [value]))
  }

  /** Values near a mean and not zero, in a shape that broadcasts along the channels. */
  perChannel(shape: readonly number[], mean: number, spread = 0.2): string {
    const count = shape.reduce((product, size) => product * size, 1)
    return this.constant(
      floats(
        shape,
        new Random(count + mean).normals(count, spread).map((v) => v + mean),
      ),
    )
  }

  op(op: string, ...inputs: string[]): string {
    return this.node(op, inputs)
  }

  with(op: string, attributes: Readonly<Record<string, AttributeValue>>, ...inputs: string[]): string {
    return this.node(op, inputs, attributes)
  }

  /** A node of x and a number, such as x · number. */
  by(op: string, x: string, value: number): string {
    return this.node(op, [x, this.scalar(value)])
  }

  point(x: string, features: number, options = {}): string {
    return this.conv(x, features, { kernel: 1, ...options })
  }

  toNhwc(x: string): string {
    return this.node('Transpose', [x], { perm: [0, 2, 3, 1] })
  }

  fromNhwc(x: string, channels = this.channels(x)): string {
    return this.node('Transpose', [x], { perm: [0, 3, 1, 2] }, channels)
  }

  /** A convolution between transpositions, as tf2onnx and Keras write it. */
  nhwcConv(x: string, features: number, options = {}): string {
    return this.toNhwc(this.conv(this.fromNhwc(x), features, { bias: false, ...options }))
  }

  matrix(rows: number, columns: number): string {
    return this.constant(
      floats([rows, columns], new Random(rows * 31 + columns).normals(rows * columns, Math.sqrt(1 / rows))),
    )
  }

  /** A feature map of five channels. */
  featureMap(): string {
    return this.relu(this.conv('input', 5))
  }

  relu6(x: string): string {
    return this.clip6(x)
  }

  sizes(...sizes: number[]): string {
    return this.constant(int64(...sizes))
  }
}

/** Defaults: a picture [1,6,10,10], or [1,12,10,3] with the channels last, and opset 17. */
interface Options {
  readonly isNhwc?: boolean
  readonly opset?: number
}

export interface CorpusGraph {
  /** The exporter or library that writes such a graph. */
  readonly from: string
  readonly name: string
  /** Builds the graph from the value `input` and returns the name of its output. */
  readonly build: (g: GraphBuilder) => string
  /** The steps of the plan, as `stepText` writes them. */
  readonly steps: readonly string[]
  readonly options: Options
}

export function graph(
  from: string,
  name: string,
  build: CorpusGraph['build'],
  steps: readonly string[],
  options: Options = {},
): CorpusGraph {
  return { from, name, build, steps, options }
}
