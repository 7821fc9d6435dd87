/**
 * Follows boxes from frame to frame by their overlap and their motion, and counts each as one visit: when it began and ended,
 * and which label most of its pictures speak for. No identity is promised: who leaves the picture comes back as another.
 * Pure functions; times are monotonic.
 */
import type { FrameBox, ScoredLabel, Box, Visit } from './task.js'

export interface TrackOptions {
  /** Least overlap (intersection over union) of a box with the place where its track is expected. */
  readonly overlap: number
  /** Pictures of a thing before it counts as a visit. */
  readonly consecutive: number
  /** A visit ends when its thing was not seen for so long. */
  readonly lostMs: number
  /** A label is final when its votes lead those of the second by so much; a vote is a score. */
  readonly lead: number
}

export const trackDefaults: TrackOptions = { overlap: 0.3, consecutive: 3, lostMs: 2000, lead: 2 }

/** One thing that is followed. Immutable. */
export interface Track {
  readonly id: number
  readonly box: FrameBox
  /** Motion of its centre, shares of the frame in a millisecond. */
  readonly speed: readonly [x: number, y: number]
  readonly beginMs: number
  readonly lastMs: number
  /** Pictures in which it was seen. */
  readonly looks: number
  /** Sum of the scores of each label. */
  readonly votes: ReadonlyMap<string, number>
  /** The label that leads by enough; null before. It stays. */
  readonly locked: string | null
  /** Best score of one of its boxes. */
  readonly bestScore: number
}

export interface Tracks {
  readonly all: readonly Track[]
  readonly nextId: number
}

/** The outcome of one frame. */
export interface TrackStep {
  readonly tracks: Tracks
  /** The boxes with the numbers of their tracks, in their order. */
  readonly boxes: readonly Box[]
  /** Visits that have ended, in the order in which they began. */
  readonly ended: readonly Visit[]
}

/** Nothing is followed yet. */
export const noTracks: Tracks = { all: [], nextId: 1 }

/** Takes the boxes of one frame. Of equal matches the earlier track and the better box come first. */
export function follow(before: Tracks, boxes: readonly Box[], nowMs: number, options: TrackOptions): TrackStep {
  const pairs = matches(before.all, boxes, nowMs, options)
  let { nextId } = before
  const seen = boxes.map((box, i): Track => {
    const track = before.all[pairs.get(i) ?? -1]
    return track ? continued(track, box, nowMs, options) : begun(nextId++, box, nowMs)
  })
  const taken = new Set(pairs.values())
  const { kept, ended } = withoutLost(
    before.all.filter((_, i) => !taken.has(i)),
    nowMs,
    options,
  )
  const all = [...kept, ...seen].sort((a, b) => a.id - b.id)
  return { tracks: { all, nextId }, boxes: boxes.map((box, i) => ({ ...box, track: seen[i]!.id })), ended }
}

/** Ends every visit, as when the camera is lost. */
export function endTracks(before: Tracks, options: TrackOptions): TrackStep {
  const ended = before.all.filter((track) => isVisit(track, options)).map(visitOf)
  return { tracks: { all: [], nextId: before.nextId }, boxes: [], ended }
}

const isVisit = ({ looks }: Track, { consecutive }: TrackOptions): boolean => looks >= consecutive

function withoutLost(
  unseen: readonly Track[],
  nowMs: number,
  options: TrackOptions,
): { readonly kept: readonly Track[]; readonly ended: readonly Visit[] } {
  const isLost = ({ lastMs }: Track): boolean => nowMs - lastMs >= options.lostMs
  const lost = unseen.filter((track) => isLost(track))
  return {
    kept: unseen.filter((track) => !isLost(track)),
    ended: lost.filter((track) => isVisit(track, options)).map(visitOf),
  }
}

function visitOf(track: Track): Visit {
  const { id, beginMs, lastMs, looks, bestScore } = track
  return { track: id, label: labelOf(track).label, beginMs, endMs: lastMs, looks, score: bestScore }
}

/** What a track is: its locked label, else the one with the most votes; with its share of them. */
export function labelOf({ votes, locked }: Pick<Track, 'votes' | 'locked'>): Pick<ScoredLabel, 'label' | 'score'> {
  const ranked = [...votes].sort(([, a], [, b]) => b - a)
  const sum = ranked.reduce((total, [, votesOf]) => total + votesOf, 0)
  const label = locked ?? ranked[0]?.[0] ?? ''
  return { label, score: sum > 0 ? (votes.get(label) ?? 0) / sum : 0 }
}

/** Adds a vote. The first label whose lead is large enough is final. */
export function voted(
  { votes, locked }: Pick<Track, 'votes' | 'locked'>,
  { label, score }: Pick<ScoredLabel, 'label' | 'score'>,
  lead: number,
): Pick<Track, 'votes' | 'locked'> {
  const next = new Map(votes).set(label, (votes.get(label) ?? 0) + score)
  if (locked !== null) return { votes: next, locked }
  const [first, second] = [...next].sort(([, a], [, b]) => b - a)
  return { votes: next, locked: first![1] - (second?.[1] ?? 0) >= lead ? first![0] : null }
}

function begun(id: number, box: Box, nowMs: number): Track {
  const { x, y, width, height, label, score } = box
  return {
    id,
    box: { x, y, width, height },
    speed: [0, 0],
    beginMs: nowMs,
    lastMs: nowMs,
    looks: 1,
    votes: new Map([[label, score]]),
    locked: null,
    bestScore: score,
  }
}

/** Half of the old motion and half of the new one: boxes tremble. */
function continued(track: Track, found: Box, nowMs: number, { lead }: TrackOptions): Track {
  const passedMs = Math.max(1, nowMs - track.lastMs)
  const { x, y, width, height, label, score } = found
  const [ax, ay] = centreOf(track.box)
  const [bx, by] = centreOf(found)
  const mixed = (old: number, moved: number): number => (old + moved / passedMs) / 2
  return {
    ...track,
    box: { x, y, width, height },
    speed: [mixed(track.speed[0], bx - ax), mixed(track.speed[1], by - ay)],
    lastMs: nowMs,
    looks: track.looks + 1,
    ...voted(track, { label, score }, lead),
    bestScore: Math.max(track.bestScore, score),
  }
}

const centreOf = ({ x, y, width, height }: FrameBox): readonly [number, number] => [x + width / 2, y + height / 2]

/** Pairs boxes with tracks, the best overlap first: index of the track by index of the box. */
function matches(
  tracks: readonly Track[],
  boxes: readonly Box[],
  nowMs: number,
  { overlap }: TrackOptions,
): ReadonlyMap<number, number> {
  const pairs = tracks.flatMap((track, t) => {
    const passedMs = nowMs - track.lastMs
    const expected = {
      ...track.box,
      x: track.box.x + track.speed[0] * passedMs,
      y: track.box.y + track.speed[1] * passedMs,
    }
    return boxes.flatMap((box, b) => {
      // A thing that stopped is where it was.
      const share = Math.max(overlapOfBoxes(expected, box), overlapOfBoxes(track.box, box))
      return share >= overlap ? [{ t, b, share }] : []
    })
  })
  const found = new Map<number, number>()
  const taken = new Set<number>()
  for (const { t, b } of pairs.sort((p, q) => q.share - p.share || p.t - q.t || p.b - q.b)) {
    if (found.has(b) || taken.has(t)) continue
    found.set(b, t)
    taken.add(t)
  }
  return found
}

/** Intersection over union, 0 to 1. */
export function overlapOfBoxes(a: FrameBox, b: FrameBox): number {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x)
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y)
  if (!(width > 0 && height > 0)) return 0
  const both = width * height
  return both / (a.width * a.height + b.width * b.height - both)
}
