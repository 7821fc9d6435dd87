/**
 * Seeded random graphs of the nodes that passes look for: convolutions, affine maps, bounds, pools, sums, Concats, Pads
 * and transpositions in any order.
 */
import type { ModelSpec } from '../onnx-builder.js'
import { Random } from '../random.js'
import { GraphBuilder } from './corpus/graph-builder.js'

/** An image value [1,c,h,w], or [1,h,w,c] if `isNhwc`. */
interface Image {
  readonly name: string
  readonly c: number
  readonly h: number
  readonly w: number
  readonly isNhwc: boolean
  /** Made by a Pad. onnxruntime fuses a Pad with zeros into a maximum even where the map is negative, so avoid that. */
  readonly isPadded?: boolean
}

export function randomGraph(seed: number, length = 14): ModelSpec {
  const random = new Random(seed)
  const g = new GraphBuilder(seed, [1, 4, 9, 8])
  const images: Image[] = [{ name: 'input', c: 4, h: 9, w: 8, isNhwc: false }]
  for (let i = 0; i < length; i++) {
    // Mostly the newest value, so that chains arise; sometimes one that already has a reader.
    const x = random.next() < 0.7 ? images.at(-1)! : random.pick(images)
    const made = random.pick(makers)(g, random, x, images)
    if (made) images.push(made)
  }
  const outputs = [images.at(-1)!, random.pick(images.slice(1))]
  return {
    nodes: g.nodes,
    weights: g.weights,
    inputs: { input: [1, 4, 9, 8] },
    outputs: Object.fromEntries(outputs.map(({ name }) => [name, null])),
  }
}

/** Adds a node that reads `x`, or returns null where it cannot. */
type Maker = (g: GraphBuilder, random: Random, x: Image, images: readonly Image[]) => Image | null

const nchw =
  (make: Maker): Maker =>
  (g, random, x, images) =>
    x.isNhwc ? null : make(g, random, x, images)
const unary =
  (make: (g: GraphBuilder, random: Random, name: string) => string): Maker =>
  (g, random, { c, h, w, isNhwc, name }) => ({ c, h, w, isNhwc, name: make(g, random, name) })

const conv: Maker = nchw((g, random, { name, c, h, w }) => {
  const features = random.pick([c, c, 2 * c > 16 ? 4 : 2 * c])
  const kernel = random.pick([1, 1, 3])
  const groups = features === c ? random.pick([1, 1, c]) : 1
  const pad = kernel === 3 && random.next() < 0.8 ? 1 : 0
  const stride = random.pick([1, 1, 1, 2])
  const size = (length: number): number => Math.floor((length + 2 * pad - kernel) / stride) + 1
  if (size(h) < 1 || size(w) < 1) return null
  const made = g.conv(name, features, {
    kernel,
    groups,
    pads: [pad, pad, pad, pad],
    strides: [stride, stride],
    bias: random.next() < 0.5,
  })
  return { name: made, c: features, h: size(h), w: size(w), isNhwc: false }
})

/** A product, sum, difference or quotient with a constant: one number, one per channel, or one per column. */
const affine: Maker = (g, random, x) => {
  const shape = random.pick([
    [],
    x.isNhwc ? [x.c] : [x.c, 1, 1],
    x.isNhwc ? [1, 1, 1, x.c] : [1, x.c, 1, 1],
    [x.isNhwc ? x.c : x.w],
  ])
  const op = random.pick(['Mul', 'Mul', 'Add', 'Add', 'Sub', 'Div'])
  const constant = g.perChannel(shape, random.pick([1, 1, -1]), 0.1)
  const inputs = op !== 'Div' && random.next() < 0.3 ? [constant, x.name] : [x.name, constant]
  return { ...x, name: g.node(op, inputs, {}, x.c) }
}

const pool: Maker = nchw((g, random, { name, c, h, w, isPadded }) => {
  if (h < 3 || w < 3) return null
  const [kernel, stride, pad] = random.pick([
    [2, 2, 0],
    [3, 1, 1],
    [3, 2, 0],
    [3, 2, 1],
  ])
  const size = (length: number): number => Math.floor((length + 2 * pad! - kernel!) / stride!) + 1
  const made = g.with(
    isPadded ? 'AveragePool' : random.pick(['MaxPool', 'AveragePool']),
    { kernel_shape: [kernel!, kernel!], strides: [stride!, stride!], pads: [pad!, pad!, pad!, pad!] },
    name,
  )
  return { name: made, c, h: size(h), w: size(w), isNhwc: false }
})

const pad: Maker = (g, random, x) => {
  const [top, left, bottom, right] = [0, 0, 0, 0].map(() => random.between(0, 1)) as [number, number, number, number]
  const value = random.pick([0, 0, 0, 0.5])
  const sizes = x.isNhwc ? g.sizes(0, top, left, 0, 0, bottom, right, 0) : g.sizes(0, 0, top, left, 0, 0, bottom, right)
  return {
    ...x,
    name: g.node('Pad', [x.name, sizes, g.scalar(value)]),
    h: x.h + top + bottom,
    w: x.w + left + right,
    isPadded: true,
  }
}

/** Two values of the same height and width: a sum, difference, product or Concat. */
const joined: Maker = (g, random, x, images) => {
  const others = images.filter(({ h, w, isNhwc }) => h === x.h && w === x.w && isNhwc === x.isNhwc)
  const other = random.pick(others)
  if (other.c !== x.c || random.next() < 0.3)
    return x.c + other.c > 24
      ? null
      : {
          ...x,
          name: g.node('Concat', [x.name, other.name], { axis: x.isNhwc ? 3 : 1 }, x.c + other.c),
          c: x.c + other.c,
        }
  return { ...x, name: g.op(random.pick(['Add', 'Add', 'Add', 'Sub', 'Mul']), x.name, other.name) }
}

const transposed: Maker = (g, _, x) => ({
  ...x,
  name: x.isNhwc ? g.fromNhwc(x.name) : g.toNhwc(x.name),
  isNhwc: !x.isNhwc,
})

/** A gate as in squeeze-excite: the sigmoid of the mean, multiplied with the map. */
const gated: Maker = (g, _, x) => {
  const mean = g.with('ReduceMean', { axes: x.isNhwc ? [1, 2] : [2, 3], keepdims: 1 }, x.name)
  return { ...x, name: g.op('Mul', x.name, g.op('Sigmoid', x.isNhwc ? mean : g.point(mean, x.c))) }
}

const matrix: Maker = (g, random, x) =>
  x.isNhwc ? { ...x, name: g.node('MatMul', [x.name, g.matrix(x.c, x.c)]), c: x.c } : conv(g, random, x, [])

const makers: readonly Maker[] = [
  conv,
  conv,
  conv,
  affine,
  affine,
  affine,
  pool,
  pad,
  joined,
  joined,
  transposed,
  gated,
  matrix,
  nchw(unary((g, _, name) => g.norm(name))),
  unary((g, _, name) => g.relu(name)),
  unary((g, _, name) => g.relu6(name)),
  unary((g, random, name) => g.by(random.pick(['Min', 'Max']), name, random.pick([0, 0.5, 6]))),
  unary((g, _, name) => g.by('Div', g.op('Mul', name, g.relu6(g.by('Add', name, 3))), 6)),
  unary((g, _, name) => g.op('Mul', name, g.op('Sigmoid', name))),
  (g, _, x) => ({ ...x, name: g.op('Identity', x.name) }),
]
