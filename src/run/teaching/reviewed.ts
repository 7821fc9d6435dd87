/** Hands pictures that people have labelled in review over to a taught head. */
import type { Review } from '../../collector/review.js'
import { stateFault } from '../../teach/names.js'
import type { TaughtHead } from '../../teach/taught-head.js'
import { Refusal } from '../commands/refusal.js'

/** Where the pictures come from. */
export type LabelledPictures = Pick<Review, 'labelled' | 'picture'>

/** How many pictures are new to the head or under another state now, and how many were taught so before. */
export interface Handed {
  readonly added: number
  readonly known: number
}

interface HandOver {
  readonly zone: string
  /** Only these pictures; else all of the zone and those from folders. */
  readonly names: readonly string[] | undefined
  readonly head: TaughtHead
}

/** Teaches the head those pictures. Rejects with a Refusal where there are none, and for a label that cannot be a state. */
export async function handOver(review: LabelledPictures, { zone, names, head }: HandOver): Promise<Handed> {
  const labelled = await review.labelled(zone, names)
  if (labelled.length === 0) throw new Refusal('invalid', `no picture of ${zone} has a label in the review`)
  for (const { label } of labelled) {
    const fault = stateFault(label!)
    if (fault !== null) throw new Refusal('invalid', `${JSON.stringify(label)} cannot be a state: ${fault}`)
  }
  const before = new Map(head.record.pictures.map(({ id, state }) => [id, state]))
  const after = new Map<string, string>()
  for (const { name, label, about } of labelled) {
    const bytes = await review.picture(name)
    const atMs = about.why === 'imported' ? null : about.atMs
    if (bytes) after.set((await head.add(label, bytes, atMs, true)).id, label!)
  }
  const known = [...after].filter(([id, state]) => before.get(id) === state).length
  return { added: after.size - known, known }
}
