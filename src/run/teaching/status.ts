/** How far a zone is taught, as the page and the commands tell it. */
import { isChanged, type HeadRecord, type KeptReport } from '../../teach/record.js'
import type { TaughtHead } from '../../teach/taught-head.js'
import type { Drifted } from './watch.js'

/** A picture that is taught, with what the present head says of it. */
export interface TaughtPicture {
  readonly id: string
  /** Null: none of the states. */
  readonly state: string | null
  readonly atMs: number | null
  /** A state or `unknown`, and the score of the best state; null before the picture was fitted. */
  readonly label: string | null
  readonly score: number | null
  /** What a head that did not see it calls it; null where that is not known. */
  readonly leftOut: string | null
  /** The state that it probably shows instead of its own. */
  readonly doubt: { readonly called: string; readonly score: number } | null
}

/** How far a zone is taught. */
export interface TeachStatus {
  readonly zone: string
  /** The name of its head, whether there is one or not. */
  readonly head: string
  /** The head answers for the zone. */
  readonly isServing: boolean
  readonly isFitting: boolean
  /** It is taught clips, made of frames like this; null: pictures. */
  readonly clip: { readonly frames: number; readonly everyMs: number } | null
  readonly canUndo: boolean
  /** Why the last fit failed; the head before serves. */
  readonly fault: string | null
  /** The network; null before the first fit. */
  readonly model: string | null
  readonly fittedMs: number | null
  readonly states: readonly { readonly state: string; readonly pictures: number }[]
  readonly pictures: readonly TaughtPicture[]
  readonly report: KeptReport | null
  /** What the zone sees is not what it was taught any more; null: it is. */
  readonly needsTeaching: Drifted | null
}

/** What the node knows beside the record. */
interface Present extends Pick<TeachStatus, 'zone' | 'isFitting' | 'clip' | 'fault' | 'needsTeaching'> {
  /** The zone names this head as its model. */
  readonly isZoneServed: boolean
}

/** The status of a zone with this head. */
export function statusOf({ store, record }: TaughtHead, { isZoneServed, clip, ...present }: Present): TeachStatus {
  const { served } = record
  return {
    ...present,
    clip: clip && { frames: clip.frames, everyMs: clip.everyMs },
    head: store.name,
    isServing: served !== null && isZoneServed,
    canUndo: record.before !== null || isChanged(record),
    model: served?.model.name ?? null,
    fittedMs: served?.fittedMs ?? null,
    states: record.states.map((state) => ({
      state,
      pictures: record.pictures.filter((each) => each.state === state).length,
    })),
    pictures: picturesIn(record),
    report: served?.report ?? null,
  }
}

/** The message of a zone's `teach` topic. */
export function teachPayload({ store, record }: TaughtHead, selected: string, needsTeaching: boolean): string {
  const { states, served } = record
  return JSON.stringify({
    head: store.name,
    states,
    selected,
    pictures: served?.report.pictures ?? {},
    accuracy: served?.report.accuracy ?? null,
    enough: served?.report.enough ?? false,
    needs_teaching: needsTeaching,
  })
}

function picturesIn({ pictures, served }: HeadRecord): readonly TaughtPicture[] {
  const doubts = new Map(served?.report.doubts.map(({ id, called, score }) => [id, { called, score }]))
  return pictures.map(({ id, state, atMs }) => {
    const answer = served?.answers[id]
    const isSame = served?.pictures.some((each) => each.id === id && each.state === state) === true
    return {
      id,
      state,
      atMs,
      label: answer?.label ?? null,
      score: answer?.score ?? null,
      leftOut: answer?.leftOut ?? null,
      doubt: (isSame ? doubts.get(id) : undefined) ?? null,
    }
  })
}
