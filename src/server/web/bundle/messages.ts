/** The answer of /api/bundle, as `../../bundle.ts` describes it; that file needs Node. */

interface Slot {
  readonly version: string
  readonly digest: string
}

export interface ShadowState {
  readonly compared: number
  readonly agreed: number
  readonly failed: number
  readonly servingMs: number
  readonly candidateMs: number
  readonly drift: number
  readonly changes: readonly { readonly from: string; readonly to: string; readonly count: number }[]
  readonly elapsedMs: number
  readonly objection: string | null
  readonly pictures: readonly ShadowPicture[]
}

export interface ShadowPicture {
  readonly number: number
  readonly atMs: number
  readonly from: string
  readonly to: string
}

export interface BundleState {
  readonly name: string | null
  readonly state: 'none' | 'shadow' | 'probation' | 'settled'
  readonly installed: Slot | null
  readonly candidate: Slot | null
  readonly before: Slot | null
  readonly fault: string | null
  readonly shadow: ShadowState | null
}
