/** The answers of the gallery routes, as `../../galleries.ts` describes them; that file needs Node. */

export interface LeftRow {
  readonly atMs: number
  readonly what: string
  readonly names: readonly string[]
}

export interface GalleryState {
  readonly gallery: string
  readonly names: readonly { readonly name: string; readonly pictures: number; readonly ids: readonly string[] }[]
  readonly calibration: {
    readonly threshold: number
    readonly rate: number
    readonly impostors: number
    readonly accepted: number
    readonly genuine: number
    readonly rejected: number
  } | null
  readonly left: readonly LeftRow[]
}
