/** The `qchain` step of a depthwise window on bytes and the convolutions around it. */
import type { Draft, TensorId } from '../draft.js'
import type { PlanStep } from '../plan.js'
import type { StepParameters } from '../steps.js'

/** A convolution on bytes. */
export type ByteConv = Extract<PlanStep, { readonly kind: 'qconv2d' }>

type Window = 'kernelH' | 'kernelW' | 'strideH' | 'strideW' | 'padTop' | 'padLeft' | 'padBottom' | 'padRight'
type ConvWindow = Pick<ByteConv['parameters'], Window | 'dilationH' | 'dilationW'>
type ExpandWindow = { [K in keyof ConvWindow as `expand${Capitalize<K>}`]: ConvWindow[K] }

/** The window of the convolution before the depthwise one; of one pixel where there is none. */
export function expandWindow(e: ConvWindow | undefined): ExpandWindow {
  return {
    expandKernelH: e?.kernelH ?? 1,
    expandKernelW: e?.kernelW ?? 1,
    expandStrideH: e?.strideH ?? 1,
    expandStrideW: e?.strideW ?? 1,
    expandPadTop: e?.padTop ?? 0,
    expandPadLeft: e?.padLeft ?? 0,
    expandPadBottom: e?.padBottom ?? 0,
    expandPadRight: e?.padRight ?? 0,
    expandDilationH: e?.dilationH ?? 1,
    expandDilationW: e?.dilationW ?? 1,
  }
}

/** The group's inputs and parameters, in the order of the row of `qchain`. */
export function byteChain(
  { tensors }: Draft,
  window: ByteConv,
  expand: ByteConv | null,
  project: ByteConv | null,
): { readonly inputs: readonly (TensorId | null)[]; readonly parameters: StepParameters<'qchain'> } {
  const constants = (step: ByteConv | null): readonly (TensorId | null)[] =>
    [1, 2, 3].map((i) => step?.inputs[i] ?? null)
  const zeroOf = (step: ByteConv | null): number => (step ? tensors[step.outputs[0]!]!.zeroPoint : 0)
  const last = project ?? window
  const e = expand?.parameters
  const { low: windowLow, high: windowHigh } = window.parameters
  const { low, high, middleScale, middleZero, middleLow, middleHigh, residualFirst } = last.parameters
  const { kernelH, kernelW, strideH, strideW, padTop, padLeft, padBottom, padRight, dilationH, dilationW } =
    window.parameters
  return {
    inputs: [
      (expand ?? window).inputs[0]!,
      ...constants(window),
      ...constants(expand),
      ...constants(project),
      last.inputs[4] ?? null,
    ],
    parameters: {
      op: 'depthwise',
      ...{ kernelH, kernelW, strideH, strideW, padTop, padLeft, padBottom, padRight, dilationH, dilationW },
      ...expandWindow(e),
      expandZero: zeroOf(expand),
      expandLow: e?.low ?? 0,
      expandHigh: e?.high ?? 0,
      windowZero: project ? zeroOf(window) : 0,
      windowLow,
      windowHigh,
      low,
      high,
      middleScale,
      middleZero,
      middleLow,
      middleHigh,
      residualFirst,
    },
  }
}
