/** Resize (opsets 10 to 19) and Upsample (7, 9): scales and sizes per axis, from each form that exporters write. */
import { Unsupported } from '../graph.js'
import type { NodeView } from '../view.js'

/** The result of a Resize. */
export interface Resized {
  readonly shape: readonly number[]
  /** Output size per input size. These are the node's own `scales` where it has them, since they place the samples. */
  readonly scales: readonly number[]
}

/** Resolves the output shape and the scales. */
export function resolveResize(view: NodeView): Resized {
  const shape = view.shape(0)
  if (view.node.op === 'Upsample' || view.opset < 11) {
    const scales = view.opset < 9 && view.inputCount < 2 ? attributeScales(view) : view.numbers(1, 'scales')
    return fromScales(shape, scales)
  }
  const axes = view.ints('axes') ?? shape.map((_, i) => i)
  const spread = (values: readonly number[], rest: readonly number[]): number[] => {
    const full = [...rest]
    axes.forEach((axis, i) => {
      full[axis < 0 ? axis + shape.length : axis] = values[i]!
    })
    return full
  }
  const scales = view.optional(2)
  if (scales && scales.shape[0] !== 0)
    return fromScales(
      shape,
      spread(
        view.numbers(2, 'scales'),
        shape.map(() => 1),
      ),
    )
  if (!view.optional(3)) throw new Unsupported('it has neither scales nor sizes')
  return fromSizes(view, shape, spread(view.numbers(3, 'sizes'), shape), axes)
}

function attributeScales(view: NodeView): readonly number[] {
  const scales = view.node.attributes['scales']
  if (scales?.kind !== 'floats') throw new Unsupported('it has no scales')
  return scales.value
}

function fromScales(shape: readonly number[], scales: readonly number[]): Resized {
  if (scales.length !== shape.length || scales.some((s) => !(s > 0)))
    throw new Unsupported(`its scales are [${scales.join(', ')}]`)
  return { shape: shape.map((size, i) => Math.floor(size * scales[i]!)), scales }
}

function fromSizes(
  view: NodeView,
  shape: readonly number[],
  sizes: readonly number[],
  axes: readonly number[],
): Resized {
  const policy = view.text('keep_aspect_ratio_policy', 'stretch')
  if (policy === 'stretch') return { shape: sizes, scales: sizes.map((size, i) => size / shape[i]!) }
  const ratios = axes.map((axis) => sizes[axis]! / shape[axis]!)
  const scale = policy === 'not_larger' ? Math.min(...ratios) : Math.max(...ratios)
  const scales = shape.map((_, i) => (axes.includes(i) ? scale : 1))
  return { shape: shape.map((size, i) => (axes.includes(i) ? Math.round(size * scale) : size)), scales }
}
