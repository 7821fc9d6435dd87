/** Counters and latencies of a run. Recording a frame allocates nothing. */

/** Percentiles of the last samples, in a ring of fixed size. */
export class Latency {
  readonly #samples: Float64Array
  #count = 0

  constructor(capacity = 512) {
    this.#samples = new Float64Array(capacity)
  }

  record(ms: number): void {
    this.#samples[this.#count++ % this.#samples.length] = ms
  }

  /** Of what the ring holds; 0 before the first sample. */
  percentiles(): { readonly p50: number; readonly p95: number; readonly p99: number } {
    const sorted = this.#samples.slice(0, Math.min(this.#count, this.#samples.length)).sort()
    const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0
    return { p50: at(0.5), p95: at(0.95), p99: at(0.99) }
  }
}

/** What one run counted, over all cameras. */
export interface Metrics {
  /** Frames that became a prediction. */
  frames: number
  /** Frames that the cameras delivered and nobody took. */
  dropped: number
  /** Frames whose pixels or outputs were not usable. */
  invalid: number
  /** Times a camera came back. */
  recoveries: number
  readonly infer: Latency
  /** From the sensor to the frame's turn on the engine. */
  readonly capture: Latency
  readonly preprocess: Latency
  /** Policy, and handing over what is to be published. */
  readonly decide: Latency
  readonly startedMs: number
}

/** A frame's stages in the order of its way. */
export const stageNames = ['capture', 'preprocess', 'infer', 'decide'] as const

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
 * Resident memory of this process in bytes. Where the kernel does not tell, because /proc is hidden or no file
 * descriptor is left, its peak: whoever looks at a process in need must not be what ends it.
 */
export function residentBytes(): number {
  try {
    return process.memoryUsage.rss()
  } catch {
    return process.resourceUsage().maxRSS * 1024
  }
}
