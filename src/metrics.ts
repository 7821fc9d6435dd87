/** Counters and latencies of a run, for the summary, the health message and /metrics. Recording a frame allocates nothing. */

/** Percentiles of the last `capacity` samples, in milliseconds. */
export class Latency {
  readonly #samples: Float64Array
  #count = 0

  constructor(capacity = 512) {
    this.#samples = new Float64Array(capacity)
  }

  record(ms: number): void {
    this.#samples[this.#count++ % this.#samples.length] = ms
  }

  /** Percentiles of the kept samples; 0 before the first one. */
  percentiles(): { readonly p50: number; readonly p95: number; readonly p99: number } {
    const sorted = this.#samples.slice(0, Math.min(this.#count, this.#samples.length)).sort()
    const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
    return { p50: at(0.5), p95: at(0.95), p99: at(0.99) }
  }
}

/** The counters of one run, over all cameras. */
export interface Metrics {
  /** Frames that became a prediction. */
  frames: number
  /** Frames that a newer frame replaced before they were classified. */
  dropped: number
  /** Frames whose pixels or outputs were unusable. */
  invalid: number
  /** How often a lost camera came back. */
  recoveries: number
  readonly infer: Latency
  /** From the sensor's timestamp to the start of preprocessing. */
  readonly capture: Latency
  readonly preprocess: Latency
  /** The policy, and handing the results to the publisher. */
  readonly decide: Latency
  readonly startedMs: number
}

/** The stages of a frame, in order. */
export const stageNames = ['capture', 'preprocess', 'infer', 'decide'] as const

/** Counters at zero. `nowMs` is the monotonic time of the start. */
export function createMetrics(nowMs: number): Metrics {
  return {
    frames: 0,
    dropped: 0,
    invalid: 0,
    recoveries: 0,
    infer: new Latency(),
    capture: new Latency(),
    preprocess: new Latency(),
    decide: new Latency(),
    startedMs: nowMs,
  }
}

/**
 * Resident memory of this process in bytes. Where /proc is hidden or no file descriptor is left, the peak of it instead:
 * measuring a process in trouble must not end it.
 */
export function residentBytes(): number {
  try {
    return process.memoryUsage.rss()
  } catch {
    return process.resourceUsage().maxRSS * 1024
  }
}
