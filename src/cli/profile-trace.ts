/**
 * A profile in Chrome's trace format, which Perfetto (ui.perfetto.dev) and chrome://tracing can open: one track per camera
 * with the stages of each frame, and one track with the engine's steps in sequence.
 * Source: "Trace Event Format", Google, the complete ('X') and metadata ('M') events.
 */
import type { StepsResult } from './bench-steps.js'

/** The stages of one frame. Times are milliseconds of one monotonic clock. */
export interface FrameTimes {
  readonly camera: string
  readonly seq: number
  readonly label: string
  /** The time of its capture. */
  readonly startMs: number
  readonly capture: number
  readonly preprocess: number
  readonly infer: number
  readonly decide: number
}

interface TraceEvent {
  readonly name: string
  readonly ph: 'X' | 'M'
  readonly pid: number
  readonly tid: number
  /** Microseconds. */
  readonly ts?: number
  readonly dur?: number
  readonly cat?: string
  readonly args: Readonly<Record<string, unknown>>
}

const [framesProcess, engineProcess] = [1, 2]

/** The trace as an object to be written as JSON. `steps` is null if the engine cannot time its steps. */
export function traceOf(
  frames: readonly FrameTimes[],
  steps: StepsResult | null,
): { readonly traceEvents: readonly TraceEvent[]; readonly displayTimeUnit: 'ms' } {
  const cameras = [...new Set(frames.map(({ camera }) => camera))]
  const originMs = frames.reduce((least, { startMs }) => Math.min(least, startMs), Infinity)
  const events: TraceEvent[] = [
    named('process_name', framesProcess, 0, 'frames'),
    ...cameras.map((camera, i) => named('thread_name', framesProcess, i + 1, camera)),
  ]
  for (const frame of frames) events.push(...eventsOf(frame, cameras.indexOf(frame.camera) + 1, originMs))
  if (steps) {
    events.push(
      named(
        'process_name',
        engineProcess,
        0,
        `engine: ${steps.target}, ${steps.threads} threads, shortest time of each step`,
      ),
      named('thread_name', engineProcess, 1, 'steps'),
    )
    let atMs = 0
    for (const { name, kernel, ms, gflops, peakPercent, inputBytes, outputBytes, weightBytes } of steps.steps) {
      events.push(
        complete(kernel, 'step', engineProcess, 1, atMs, ms, {
          step: name,
          gflops,
          peakPercent,
          inputBytes,
          outputBytes,
          weightBytes,
        }),
      )
      atMs += ms
    }
  }
  return { traceEvents: events, displayTimeUnit: 'ms' }
}

function eventsOf({ camera, seq, label, startMs, ...stages }: FrameTimes, tid: number, originMs: number): TraceEvent[] {
  const { capture, preprocess, infer, decide } = stages
  const parts = Object.entries({ capture, preprocess, infer, decide })
  const total = parts.reduce((sum, [, ms]) => sum + ms, 0)
  const events = [complete(`frame ${seq}`, 'frame', framesProcess, tid, startMs - originMs, total, { camera, label })]
  let atMs = startMs - originMs
  for (const [name, ms] of parts) {
    events.push(complete(name, 'stage', framesProcess, tid, atMs, ms, {}))
    atMs += ms
  }
  return events
}

function complete(
  name: string,
  cat: string,
  pid: number,
  tid: number,
  atMs: number,
  ms: number,
  args: TraceEvent['args'],
): TraceEvent {
  return { name, cat, ph: 'X', pid, tid, ts: atMs * 1000, dur: ms * 1000, args }
}

function named(kind: 'process_name' | 'thread_name', pid: number, tid: number, name: string): TraceEvent {
  return { name: kind, ph: 'M', pid, tid, args: { name } }
}
