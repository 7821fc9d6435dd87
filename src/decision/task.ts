/**
 * What a network is asked: which class a picture shows, where things are in it, what each place of it shows, or which class
 * a clip shows. Whatever the task, a prediction has one score for each label, so the policy and everything behind it know no
 * tasks; what a task finds besides is a `Found`.
 */

/** The tasks that gapcam runs; the key `task` of a zone and of a manifest. */
export const tasks = ['classify', 'detect', 'segment', 'video'] as const
export type Task = (typeof tasks)[number]

/** A label of a model, and how sure it is. */
export interface ScoredLabel {
  readonly index: number
  readonly label: string
  /** Probability, 0 to 1. */
  readonly score: number
}

/** A rectangle in shares of the frame. */
export interface FrameBox {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}

/** A thing that was found in a frame. The rectangle is in shares of the frame as the camera delivers it. */
export interface Box extends FrameBox, ScoredLabel {
  /** Numbers the thing over the frames in which it is followed; absent where boxes are not followed. */
  readonly track?: number | undefined
  /** What a second model says of it. */
  readonly which?: Pick<ScoredLabel, 'label' | 'score'> | undefined
}

/** A thing that came and went. Times are monotonic. */
export interface Visit {
  readonly track: number
  /** The label that its pictures speak for. */
  readonly label: string
  /** Best score of one of its boxes. */
  readonly score: number
  /** When it was seen first and last. */
  readonly beginMs: number
  readonly endMs: number
  /** Pictures in which it was seen. */
  readonly looks: number
}

/** A visit on its way out of the device, with wall times in milliseconds. */
export interface PublishedVisit extends Visit {
  readonly beginWallMs: number
  readonly endWallMs: number
}

/** The things that a detector finds. */
export interface FoundBoxes {
  readonly task: 'detect'
  readonly boxes: readonly Box[]
  /** The last visit that ended; absent before, and where boxes are not followed. */
  readonly visit?: PublishedVisit | undefined
}

/** How much of the picture each label covers. */
export interface FoundShares {
  readonly task: 'segment'
  /** In the order of the labels; the sum is 1. */
  readonly shares: readonly { readonly label: string; readonly share: number }[]
}

/** The clip that the scores are about. */
export interface FoundClip {
  readonly task: 'video'
  readonly frames: number
  /** From its first frame to its last, milliseconds. */
  readonly spanMs: number
}

/** What a task finds in one frame besides scores; a further task is a further member. Owned by its prediction. */
export type Found = FoundBoxes | FoundShares | FoundClip

/** How clips are made of frames, as people set it. What is absent comes from the model, else from `clipDefaults`. */
export interface ClipOptions {
  /** Frames of a clip. */
  readonly frames?: number | undefined
  /** Time from one frame of a clip to the next, milliseconds. */
  readonly everyMs?: number | undefined
  /** How a network over pictures becomes one over clips; only the mean of its vectors is known. */
  readonly pool?: 'mean' | undefined
}

export const clipDefaults = { frames: 16, everyMs: 100 } as const

/** The boxes of a prediction; none of another task. */
export function boxesOf(found: Found | undefined): readonly Box[] {
  return found?.task === 'detect' ? found.boxes : []
}

/** The label of a detector that finds nothing, and of places that a single class does not cover. */
export const nothingLabel = 'none'
