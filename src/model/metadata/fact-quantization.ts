/** Rules of quantised values: integers with a scale and a zero point that encode real numbers. */
import type { Quantization } from '../../decision/prediction.js'
import { unknown, type FactContext, type Rule } from './facts.js'

/** Scale and zero point from two constant inputs; null if they are not known, or differ from channel to channel. */
function codeAt({ node, constant }: FactContext, scaleAt: number, zeroAt: number): Quantization | null {
  const scales = constant(scaleAt)
  const zeros = node.inputs[zeroAt] ? constant(zeroAt) : [0]
  if (!scales?.length || !zeros?.length) return null
  const [scale = 0, zeroPoint = 0] = [scales[0], zeros[0]]
  const isUniform = scales.every((each) => each === scale) && zeros.every((each) => each === zeroPoint)
  return isUniform && scale > 0 ? { scale, zeroPoint } : null
}

/** The real numbers stay what they are, up to rounding; the integers get a code. */
export const quantized: Rule = (context) => ({ ...context.input(0), quantization: codeAt(context, 1, 2) })

/** Back to real numbers. With another code than the integers were made with, they are scaled. */
export const dequantized: Rule = (context) => {
  const facts = context.input(0)
  const code = codeAt(context, 1, 2)
  if (!code) return unknown
  const made = facts.quantization
  if (made && made.scale === code.scale && made.zeroPoint === code.zeroPoint) return { ...facts, quantization: null }
  if (!made && facts.kind === 'other' && !Number.isFinite(facts.high - facts.low)) return unknown
  // stored = real / made.scale + made.zeroPoint
  const factor = code.scale / (made?.scale ?? 1)
  const offset = code.scale * ((made?.zeroPoint ?? 0) - code.zeroPoint)
  return { ...unknown, low: facts.low * factor + offset, high: facts.high * factor + offset, kind: facts.kind }
}

/** An operator on integers: the facts of its real function, with the code in two of its inputs. */
export const quantizedRule =
  ([scaleAt, zeroAt]: readonly [number, number], real: Rule): Rule =>
  (context) => {
    // Without a scale the result is in real numbers, as with QGemm.
    if (!context.node.inputs[scaleAt]) return { ...real(context), quantization: null }
    return { ...real(context), quantization: codeAt(context, scaleAt, zeroAt) }
  }
