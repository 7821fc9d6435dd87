/** Relu and Clip as bounds. */
import type { Node } from '../model/graph.js'
import type { GraphIndex } from '../model/graph-index.js'

export interface Bounds {
  readonly low: number
  readonly high: number
}

/** The bounds of a Relu or of a Clip with constant limits; null for any other node. */
export function boundsOfClip(index: GraphIndex, node: Node): Bounds | null {
  if (node.domain !== '') return null
  if (node.op === 'Relu') return { low: 0, high: Infinity }
  if (node.op !== 'Clip') return null
  const [, low, high] = node.inputs
  const limit = (name: string | undefined, fallback: number): number | undefined =>
    name === undefined || name === '' ? fallback : index.scalar(name)
  const [from, to] = [limit(low, -Infinity), limit(high, Infinity)]
  return from === undefined || to === undefined ? null : { low: from, high: to }
}
