/**
 * A plan executed by plain loops in double precision: the oracle of the compiler's tests. It works in a real arena with
 * the plan's own offsets, filled with NaN at the start, so that a wrong lifetime shows as a wrong result.
 */
import type { Plan, PlanStep } from '../../src/model/plan.js'
import type { BinaryOp, ElementwiseOp, ReduceOp } from '../../src/model/steps.js'

type Floats = Float32Array
type Dims = readonly number[]

/** Runs a plan on its inputs (as the plan lays them out) and gives its outputs. */
export function runPlan(plan: Plan, feeds: readonly ArrayLike<number>[]): Floats[] {
  const arena = new Float32Array(plan.arenaBytes / 4).fill(NaN)
  const constants = new Uint8Array(plan.constantBytes)
  for (const { offset, bytes } of plan.constants) constants.set(bytes, offset)
  const memory = plan.tensors.map(({ storage, offset, shape, type }) => {
    const length = shape!.reduce((a, b) => a * b, 1)
    const buffer = storage === 'arena' ? arena.buffer : constants.buffer
    return type === 'int32' ? new Int32Array(buffer, offset, length) : new Float32Array(buffer, offset, length)
  })
  plan.inputs.forEach(({ tensor }, i) => (memory[tensor] as Floats).set(feeds[i]!))
  for (const step of plan.steps) {
    const inputs = step.inputs.map((id) => (id === null ? null : Float32Array.from(memory[id]!)))
    const shapes = step.inputs.map((id) => (id === null ? [] : plan.tensors[id]!.shape))
    const results = compute(
      step,
      inputs,
      shapes,
      step.outputs.map((id) => (id === null ? null : plan.tensors[id]!.shape)),
    )
    step.outputs.forEach((id, i) => {
      if (id !== null) (memory[id] as Floats).set(results[i]!)
    })
  }
  return plan.outputs.map(({ tensor }) => Float32Array.from(memory[tensor]!))
}

function compute(
  step: PlanStep,
  inputs: readonly (Floats | null)[],
  shapes: readonly Dims[],
  outShapes: readonly (Dims | null)[],
): (Floats | null)[] {
  const x = inputs[0]!
  const y = new Float32Array((outShapes[0] ?? []).reduce((a, b) => a * b, 1))
  switch (step.kind) {
    case 'conv2d':
      return conv2d(step.parameters, inputs, shapes, outShapes)
    case 'chain':
      return chain(step.parameters, inputs, shapes, outShapes)
    case 'dense':
      return [dense(step.parameters, inputs, y)]
    case 'pool2d':
      return [pool2d(step.parameters, x, shapes[0]!, outShapes[0]!)]
    case 'reduce':
      return [alongSpan(step.parameters, x, y, (values) => [reduce(step.parameters.op, values)])]
    case 'elementwise':
      return [x.map((v) => elementwise(step.parameters.activation, v, step.parameters.a, step.parameters.b))]
    case 'binary': {
      const { op, activation, a, b } = step.parameters
      const [left, right] = [0, 1].map((i) => broadcast(inputs[i]!, shapes[i]!, outShapes[0]!))
      return [y.map((_, i) => elementwise(activation, binary(op, left![i]!, right![i]!), a, b))]
    }
    case 'softmax':
      return [
        alongSpan(step.parameters, x, y, (values) => {
          const most = Math.max(...values)
          const total = values.reduce((sum, v) => sum + Math.exp(v - most), 0)
          return values.map((v) =>
            step.parameters.logarithm ? v - most - Math.log(total) : Math.exp(v - most) / total,
          )
        }),
      ]
    case 'lpNormalization':
      return [
        alongSpan(step.parameters, x, y, (values) => {
          const norm = step.parameters.p === 1 ? values.reduce((s, v) => s + Math.abs(v), 0) : Math.hypot(...values)
          return values.map((v) => (norm === 0 ? 0 : v / norm))
        }),
      ]
    case 'lrn':
      return [lrn(step.parameters, x, shapes[0]!.at(-1)!)]
    case 'copy':
      return [copy(step.parameters, x, y)]
    case 'concat': {
      const { outer, groups } = step.parameters
      const rows = Array.from({ length: outer }, (_, o) => {
        const row = inputs.flatMap((part) => [
          ...part!.subarray((o * part!.length) / outer, ((o + 1) * part!.length) / outer),
        ])
        return row.map((_, at) => row[(at % groups) * (row.length / groups) + Math.floor(at / groups)]!)
      })
      let start = 0
      return outShapes.map((shape) => {
        const length = shape!.reduce((product, size) => product * size, 1) / outer
        start += length
        return Float32Array.from(rows.flatMap((row) => row.slice(start - length, start)))
      })
    }
    case 'product': {
      const { batches, rows, depth, columns, activation, a, b } = step.parameters
      return [
        y.map((_, at) => {
          const [batch, row, column] = [
            Math.floor(at / (rows * columns)) % batches,
            Math.floor(at / columns) % rows,
            at % columns,
          ]
          let sum = 0
          for (let k = 0; k < depth; k++)
            sum +=
              x[((batch * rows + row) * depth + k) % x.length]! *
              inputs[1]![((batch * depth + k) * columns + column) % inputs[1]!.length]!
          return elementwise(activation, sum, a, b)
        }),
      ]
    }
    case 'resample': {
      const { outer, inLength, outLength, taps, inner } = step.parameters
      for (let o = 0; o < outer; o++)
        for (let j = 0; j < outLength; j++)
          for (let i = 0; i < inner; i++) {
            let sum = 0
            for (let t = 0; t < taps; t++)
              sum += inputs[2]![j * taps + t]! * x[(o * inLength + indexOf(inputs[1]!, j * taps + t)) * inner + i]!
            y[(o * outLength + j) * inner + i] = sum
          }
      return [y]
    }
  }
}

/** Indices came through Float32Array.from and are exact below 2^24. */
const indexOf = (indices: Floats, at: number): number => indices[at]!

function conv2d(
  p: Extract<PlanStep, { kind: 'conv2d' }>['parameters'],
  inputs: readonly (Floats | null)[],
  shapes: readonly Dims[],
  outShapes: readonly (Dims | null)[],
): (Floats | null)[] {
  const [x, weights, bias, residual] = inputs
  const [n, h, w, c] = shapes[0] as [number, number, number, number]
  const features = shapes[1]![0]!
  const outH =
    outShapes[0]?.[1] ?? Math.floor((h + p.padTop + p.padBottom - p.dilationH * (p.kernelH - 1) - 1) / p.strideH) + 1
  const outW =
    outShapes[0]?.[2] ?? Math.floor((w + p.padLeft + p.padRight - p.dilationW * (p.kernelW - 1) - 1) / p.strideW) + 1
  const perGroup = c / p.groups
  const y = new Float32Array(n * outH * outW * features)
  const sums = new Float64Array(n * features)
  for (let b = 0; b < n; b++)
    for (let oy = 0; oy < outH; oy++)
      for (let ox = 0; ox < outW; ox++)
        for (let o = 0; o < features; o++) {
          const first = Math.floor(o / (features / p.groups)) * perGroup
          let sum = bias?.[o] ?? 0
          for (let ky = 0; ky < p.kernelH; ky++) {
            const iy = oy * p.strideH - p.padTop + ky * p.dilationH
            if (iy < 0 || iy >= h) continue
            for (let kx = 0; kx < p.kernelW; kx++) {
              const ix = ox * p.strideW - p.padLeft + kx * p.dilationW
              if (ix < 0 || ix >= w) continue
              const at = ((b * h + iy) * w + ix) * c + first
              const k = (o * perGroup * p.kernelH + ky) * p.kernelW + kx
              for (let i = 0; i < perGroup; i++) sum += x![at + i]! * weights![k + i * p.kernelH * p.kernelW]!
            }
          }
          const to = ((b * outH + oy) * outW + ox) * features + o
          y[to] = elementwise(p.activation, sum + (residual?.[to] ?? 0), p.a, p.b)
          sums[b * features + o]! += y[to]!
        }
  return [outShapes[0] ? y : null, outShapes[1] ? Float32Array.from(sums, (s) => s / (outH * outW)) : null]
}

/** A convolution, a window and a convolution, one after the other. */
function chain(
  p: Extract<PlanStep, { kind: 'chain' }>['parameters'],
  inputs: readonly (Floats | null)[],
  shapes: readonly Dims[],
  outShapes: readonly (Dims | null)[],
): (Floats | null)[] {
  const [x, weights, bias, expandWeights, expandBias, projectWeights, projectBias, residual] = inputs
  const [n, outH, outW, features] = outShapes[0] as [number, number, number, number]
  const {
    op,
    activation,
    a,
    b,
    kernelH,
    kernelW,
    strideH,
    strideW,
    padTop,
    padLeft,
    padBottom,
    padRight,
    dilationH,
    dilationW,
  } = p
  const window = { kernelH, kernelW, strideH, strideW, padTop, padLeft, padBottom, padRight, dilationH, dilationW }
  const before = {
    kernelH: p.expandKernelH,
    kernelW: p.expandKernelW,
    strideH: p.expandStrideH,
    strideW: p.expandStrideW,
    padTop: p.expandPadTop,
    padLeft: p.expandPadLeft,
    padBottom: p.expandPadBottom,
    padRight: p.expandPadRight,
    dilationH: p.expandDilationH,
    dilationW: p.expandDilationW,
    groups: 1,
    activation: p.expandActivation,
    a: p.expandA,
    b: p.expandB,
  }
  const size = (length: number, pads: number, kernel: number, stride: number, dilation: number): number =>
    Math.floor((length + pads - dilation * (kernel - 1) - 1) / stride) + 1
  const wideShape = expandWeights
    ? [
        n,
        size(shapes[0]![1]!, p.expandPadTop + p.expandPadBottom, p.expandKernelH, p.expandStrideH, p.expandDilationH),
        size(shapes[0]![2]!, p.expandPadLeft + p.expandPadRight, p.expandKernelW, p.expandStrideW, p.expandDilationW),
        shapes[3]![0]!,
      ]
    : shapes[0]!
  const middle = wideShape[3]!
  const wide = expandWeights
    ? conv2d(before, [x!, expandWeights, expandBias!, null], [shapes[0]!, shapes[3]!], [wideShape, null])[0]!
    : x!
  const isLast = !projectWeights
  const slideShape = [n, outH, outW, middle]
  if (op === 'max') {
    if (isLast && (residual || outShapes[1])) throw new Error('the compiler makes no such chain')
    const rows = pool2d({ ...window, op, countPadding: 0 }, wide, wideShape, slideShape)
    return isLast ? [rows, null] : project(rows)
  }
  const slid = conv2d(
    { ...window, activation, a, b, groups: middle },
    [wide, weights!, bias!, isLast ? residual! : null],
    [wideShape, shapes[1]!],
    [slideShape, isLast ? outShapes[1]! : null],
  )
  return isLast ? slid : project(slid[0]!)

  function project(rows: Floats): (Floats | null)[] {
    const point = {
      kernelH: 1,
      kernelW: 1,
      strideH: 1,
      strideW: 1,
      padTop: 0,
      padLeft: 0,
      padBottom: 0,
      padRight: 0,
      dilationH: 1,
      dilationW: 1,
      groups: 1,
    }
    const after = { ...point, activation: p.projectActivation, a: p.projectA, b: p.projectB }
    return conv2d(
      after,
      [rows, projectWeights!, projectBias!, residual!],
      [slideShape, shapes[5]!],
      [[n, outH, outW, features], null],
    )
  }
}

function dense(
  p: Extract<PlanStep, { kind: 'dense' }>['parameters'],
  [x, weights, bias, residual]: readonly (Floats | null)[],
  y: Floats,
): Floats {
  const n = bias?.length ?? 0
  const columns = n || columnsOf(x!.length, weights!.length, y.length)
  const depth = weights!.length / columns
  return y.map((_, at) => {
    const [row, o] = [Math.floor(at / columns), at % columns]
    let sum = (bias?.[o] ?? 0) + (residual?.[at] ?? 0)
    for (let i = 0; i < depth; i++)
      sum += x![row * depth + i]! * weights![p.transposed ? o * depth + i : i * columns + o]!
    return elementwise(p.activation, sum, p.a, p.b)
  })
}

/** N from M·K, K·N and M·N. */
const columnsOf = (mk: number, kn: number, mn: number): number => Math.round(Math.sqrt((kn * mn) / mk))

function pool2d(
  p: Extract<PlanStep, { kind: 'pool2d' }>['parameters'],
  x: Floats,
  [n, h, w, c]: Dims,
  [, outH, outW]: Dims,
): Floats {
  const y = new Float32Array(n! * outH! * outW! * c!)
  for (let b = 0; b < n!; b++)
    for (let oy = 0; oy < outH!; oy++)
      for (let ox = 0; ox < outW!; ox++)
        for (let i = 0; i < c!; i++) {
          let [most, sum, count] = [-Infinity, 0, 0]
          for (let ky = 0; ky < p.kernelH; ky++)
            for (let kx = 0; kx < p.kernelW; kx++) {
              const iy = oy * p.strideH - p.padTop + ky * p.dilationH
              const ix = ox * p.strideW - p.padLeft + kx * p.dilationW
              const isInside = iy >= 0 && iy < h! && ix >= 0 && ix < w!
              if (isInside || (p.countPadding && iy < h! + p.padBottom && ix < w! + p.padRight)) count++
              if (!isInside) continue
              const value = x[((b * h! + iy) * w! + ix) * c! + i]!
              sum += value
              most = Math.max(most, value)
            }
          y[((b * outH! + oy) * outW! + ox) * c! + i] = p.op === 'max' ? most : sum / count
        }
  return y
}

function alongSpan(
  { outer, length, inner }: { outer: number; length: number; inner: number },
  x: Floats,
  y: Floats,
  f: (values: number[]) => number[],
): Floats {
  for (let o = 0; o < outer; o++)
    for (let i = 0; i < inner; i++) {
      const results = f(Array.from({ length }, (_, l) => x[(o * length + l) * inner + i]!))
      results.forEach((value, l) => {
        y[(o * results.length + l) * inner + i] = value
      })
    }
  return y
}

function reduce(op: ReduceOp, values: readonly number[]): number {
  const sum = (f: (v: number) => number): number => values.reduce((total, v) => total + f(v), 0)
  switch (op) {
    case 'mean':
      return sum((v) => v) / values.length
    case 'sum':
      return sum((v) => v)
    case 'max':
      return Math.max(...values)
    case 'min':
      return Math.min(...values)
    case 'l1':
      return sum(Math.abs)
    case 'l2':
      return Math.sqrt(sum((v) => v * v))
    case 'sumSquare':
      return sum((v) => v * v)
    case 'prod':
      return values.reduce((a, b) => a * b, 1)
  }
}

function broadcast(x: Floats, shape: Dims, target: Dims): Floats {
  const length = target.reduce((a, b) => a * b, 1)
  return Float32Array.from({ length }, (_, at) => {
    let [rest, index, stride] = [at, 0, 1]
    for (let i = target.length - 1; i >= 0; i--) {
      const size = shape[i - target.length + shape.length] ?? 1
      index += size === 1 ? 0 : (rest % target[i]!) * stride
      stride *= size
      rest = Math.floor(rest / target[i]!)
    }
    return x[index]!
  })
}

function binary(op: BinaryOp, a: number, b: number): number {
  switch (op) {
    case 'add':
      return a + b
    case 'sub':
      return a - b
    case 'mul':
      return a * b
    case 'div':
      return a / b
    case 'max':
      return Math.max(a, b)
    case 'min':
      return Math.min(a, b)
    case 'pow':
      return a ** b
    case 'prelu':
      return a < 0 ? a * b : a
  }
}

function lrn(
  { size, alpha, beta, bias }: { size: number; alpha: number; beta: number; bias: number },
  x: Floats,
  c: number,
): Floats {
  return x.map((value, at) => {
    const channel = at % c
    let sum = 0
    for (
      let i = Math.max(0, channel - Math.floor((size - 1) / 2));
      i <= Math.min(c - 1, channel + Math.ceil((size - 1) / 2));
      i++
    )
      sum += x[at - channel + i]! ** 2
    return value / (bias + (alpha / size) * sum) ** beta
  })
}

function copy(p: Extract<PlanStep, { kind: 'copy' }>['parameters'], x: Floats, y: Floats): Floats {
  if (p.fill) y.fill(p.value)
  const walk = (axis: number, from: number, to: number): void => {
    if (axis === 5) y[to] = x[from]!
    else
      for (let i = 0; i < p.size[axis]!; i++) walk(axis + 1, from + i * p.inStride[axis]!, to + i * p.outStride[axis]!)
  }
  walk(0, p.inOffset, p.outOffset)
  return y
}

export function elementwise(op: ElementwiseOp, x: number, a: number, b: number): number {
  const sigmoid = (v: number): number => 1 / (1 + Math.exp(-v))
  switch (op) {
    case 'none':
      return x
    case 'relu':
      return Math.max(x, 0)
    case 'clip':
      return Math.min(Math.max(x, a), b)
    case 'leakyRelu':
      return x < 0 ? a * x : x
    case 'sigmoid':
      return sigmoid(x)
    case 'hardSigmoid':
      return Math.min(Math.max(a * x + b, 0), 1)
    case 'hardSwish':
      return x * Math.min(Math.max(x / 6 + 0.5, 0), 1)
    case 'tanh':
      return Math.tanh(x)
    case 'elu':
      return x < 0 ? a * Math.expm1(x) : x
    case 'silu':
      return x * sigmoid(x)
    case 'gelu':
      return (x * (1 + erf(x / Math.SQRT2))) / 2
    case 'geluTanh':
      return (x * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)))) / 2
    case 'softplus':
      return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))
    case 'exp':
      return Math.exp(x)
    case 'sqrt':
      return Math.sqrt(x)
    case 'erf':
      return erf(x)
    case 'log':
      return Math.log(x)
    case 'abs':
      return Math.abs(x)
    case 'neg':
      return -x
    case 'reciprocal':
      return 1 / x
    case 'floor':
      return Math.floor(x)
    case 'ceil':
      return Math.ceil(x)
    case 'affine':
      return a * x + b
    case 'power':
      return x ** a
    case 'selu':
      return b * (x < 0 ? a * Math.expm1(x) : x)
    case 'softsign':
      return x / (1 + Math.abs(x))
  }
}

/** The error function by its Maclaurin series near 0 and by a continued fraction of erfc elsewhere; about 1e-12. */
export function erf(x: number): number {
  const z = Math.abs(x)
  if (z > 6) return Math.sign(x)
  if (z < 2.5) {
    let [term, sum] = [z, z]
    for (let n = 1; n < 80; n++) {
      term *= (-z * z) / n
      sum += term / (2 * n + 1)
    }
    return (Math.sign(x) * 2 * sum) / Math.sqrt(Math.PI)
  }
  let fraction = 0
  for (let k = 60; k > 0; k--) fraction = k / 2 / (z + fraction)
  return Math.sign(x) * (1 - Math.exp(-z * z) / (Math.sqrt(Math.PI) * (z + fraction)))
}
