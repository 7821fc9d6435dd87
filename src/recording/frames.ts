/** What is kept of a frame while its zone works on it, and how that becomes a record. */
import { frameBytes, type Frame } from '../frame.js'
import type { PolicyOptions, PolicyState } from '../decision/policy.js'
import type { Prediction } from '../decision/prediction.js'
import type { TensorData } from '../tensor.js'
import { digestOf } from './digest.js'
import type { FrameFacts } from './format.js'

/** One frame in progress or done. Owns its memory. */
export interface KeptFrame {
  readonly seq: number
  readonly wallTime: number
  readonly facts: Pick<Frame, 'width' | 'height' | 'format' | 'stride' | 'file'>
  readonly pixels: Uint8Array
  input: { readonly digest: string; readonly samples: readonly number[] } | null
  outcome: Outcome | null
}

/** What became of a frame. */
export interface Outcome {
  /** Null where the outputs could not be used. */
  readonly prediction: Prediction | null
  readonly logits: Float32Array
  readonly before: PolicyState
  readonly after: PolicyState
  readonly policy: PolicyOptions
  /** The time passed to the policy. */
  readonly nowMs: number
}

const samples = 64

/** Bytes of a frame's pixels, padding included. */
export function pixelBytesOf({ pixels, format, stride, height }: Frame): number {
  return pixels instanceof Uint8Array ? pixels.length : frameBytes(format, stride, height)
}

/** Copies a frame into `pixels`, memory of `pixelBytesOf(frame)` bytes that the result owns. */
export function keptFrame(frame: Frame, pixels: Uint8Array): KeptFrame {
  frame.copyTo(pixels)
  const { seq, wallTime, width, height, format, stride, file } = frame
  return {
    seq,
    wallTime,
    facts: { width, height, format, stride, ...(file === undefined ? {} : { file }) },
    pixels,
    input: null,
    outcome: null,
  }
}

/** The logits that belong to a record: none where the outputs could not be used. */
export function loggedLogits({ digests }: FrameFacts, { outcome }: KeptFrame): Float32Array {
  return digests.logits === null ? new Float32Array(0) : outcome!.logits
}

/** Digest and a few values of the network's input. Reads it where it lies. */
export function sampleInput(input: TensorData): NonNullable<KeptFrame['input']> {
  const step = Math.max(1, Math.floor(input.length / samples))
  return {
    digest: digestOf(input as Float32Array),
    samples: Array.from({ length: Math.min(samples, input.length) }, (_, i) => Number(input[i * step])),
  }
}

/** The record of a frame; null for one that is not finished. `previous` is the policy's state after the record before it. */
export function factsOf(frame: KeptFrame, previous: PolicyState | null): FrameFacts | null {
  const { seq, wallTime, facts, pixels, input, outcome } = frame
  if (!input || !outcome) return null
  const { prediction, logits, before, after, policy, nowMs } = outcome
  const { file, ...geometry } = facts
  return {
    seq,
    wallTime,
    nowMs,
    ...geometry,
    ...(file === undefined ? {} : { file }),
    pixelBytes: pixels.length,
    digests: { pixels: digestOf(pixels), input: input.digest, logits: prediction ? digestOf(logits) : null },
    samples: [...input.samples],
    top: prediction ? [...prediction.top] : [],
    ...(prediction?.novelty ? { novelty: { ...prediction.novelty } } : {}),
    decision: decisionOf(after),
    policy: { ...policy },
    ...(before === previous ? {} : { before: encodeState(before) }),
  }
}

function decisionOf({ decision }: PolicyState): FrameFacts['decision'] {
  return { ...decision, top: [...decision.top] }
}

function encodeState(state: PolicyState): NonNullable<FrameFacts['before']> {
  const { smoothed, ...rest } = state
  return {
    ...rest,
    decision: decisionOf(state),
    smoothed: smoothed && Buffer.from(smoothed.buffer, smoothed.byteOffset, smoothed.byteLength).toString('base64'),
  }
}

/** The policy's state in a record, for a model with `classes` classes; null where it is not valid for one. */
export function decodeState(state: NonNullable<FrameFacts['before']>, classes: number): PolicyState | null {
  const bytes = state.smoothed === null ? null : new Uint8Array(Buffer.from(state.smoothed, 'base64'))
  if (bytes && bytes.length !== classes * 4) return null
  if ([state.candidate, state.decision.index].some((index) => index !== null && index >= classes)) return null
  return {
    ...state,
    decision: state.decision as PolicyState['decision'],
    smoothed: bytes && new Float32Array(bytes.buffer),
  }
}
