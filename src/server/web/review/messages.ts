/** The answers of the review routes, as `../../review.ts` describes them; that file needs Node. */

export interface ReviewPicture {
  readonly name: string
  readonly zone: string
  readonly atMs: number
  readonly why: string
  readonly said: string
  readonly score: number
  readonly label: string | null
}

export interface ReviewGroup {
  readonly id: string
  readonly suggestion: string | null
  readonly size: number
  readonly distinct: number
  /** Nearly equal pictures together. */
  readonly pictures: readonly (readonly ReviewPicture[])[]
}

export interface ReviewState {
  readonly isOn: boolean
  readonly pictures: number
  readonly labelled: number
  readonly bytes: number
  readonly maxBytes: number
  readonly kept: number
  readonly left: number
  readonly fault: string | null
  readonly labels: readonly string[]
  /** Pictures with a label, by zone and label; zone '': from a folder. */
  readonly zones: Readonly<Record<string, Readonly<Record<string, number>>>>
}
