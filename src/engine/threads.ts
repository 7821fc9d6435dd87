/** How many threads an engine computes on. */
import { availableParallelism } from 'node:os'
import { expected } from '../errors.js'
import { readProcessors, type Processors } from './processors.js'

/** More threads than this share too little work at one picture at a time. */
const most = 8

/** 'auto' looks at the machine; a number is taken as it is. Throws TypeError for one that no engine takes. */
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
 * One thread for each processor of the fastest kind, within the cgroups' share. Of four and more that are all alike, one
 * is left for Node, capture and the broker; slower ones beside them are room enough.
 */
export function autoThreads({ allowed, fast, quota }: Processors): number {
  const cores = Math.max(1, Math.min(fast, Math.floor(quota)))
  const hasSlowerOnes = fast < allowed && cores === fast
  return Math.min(cores >= 4 && !hasSlowerOnes ? cores - 1 : cores, most)
}
