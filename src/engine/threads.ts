/** The number of compute threads of an engine. */
import { availableParallelism } from 'node:os'
import { expected } from '../errors.js'
import { readProcessors, type Processors } from './processors.js'

/** Above this count, the work of one picture is too little to share. */
const most = 8

/** Resolves 'auto' from the machine's processors and checks a given number. Throws TypeError outside 1 to 64. */
export function resolveThreads(threads: number | 'auto' = 'auto'): number {
  if (threads !== 'auto') {
    if (!(Number.isInteger(threads) && threads >= 1 && threads <= 64))
      throw expected("'auto' or a whole number from 1 to 64", 'threads', threads)
    return threads
  }
  const cores = availableParallelism()
  return autoThreads(readProcessors() ?? { allowed: cores, fast: cores, quota: Infinity })
}

/**
 * One thread per processor of the fastest kind, within the cgroup quota. With four or more equal processors, one stays
 * free for Node, capture and the broker; slow processors beside the fast ones serve the same purpose.
 */
export function autoThreads({ allowed, fast, quota }: Processors): number {
  const cores = Math.max(1, Math.min(fast, Math.floor(quota)))
  const hasSlowerOnes = fast < allowed && cores === fast
  return Math.min(cores >= 4 && !hasSlowerOnes ? cores - 1 : cores, most)
}
