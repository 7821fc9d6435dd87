/** How many threads an engine computes on. */
import { availableParallelism } from 'node:os'

/** 'auto' is one thread a core, less one for Node, capture and the broker where there are more than two cores. */
export function resolveThreads(threads: number | 'auto' = 'auto'): number {
  if (threads !== 'auto') return threads
  const cores = availableParallelism()
  return cores > 2 ? Math.min(cores - 1, 8) : cores
}
