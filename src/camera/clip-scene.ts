/**
 * Scenes in which something happens: a photograph comes nearer, goes away, passes, or stays, over a background whose light
 * changes. `test://?scene=clips` shows them one after the other; `scripts/networks/train-clips.mjs` makes clips of them.
 */

/** What a photograph does; the labels of models/clips.onnx. */
export const actions = ['comes', 'goes', 'passes left', 'passes right', 'stays'] as const
export type Action = (typeof actions)[number]

/** A square photograph, RGB. */
export interface Photo {
  readonly data: Uint8Array
  readonly side: number
}

/** How an action is played. Shares are of the picture's height, for `x` of its width. */
export interface Play {
  readonly action: Action
  /** Centre of the photograph; where it passes, `x` is where it would be in the middle. */
  readonly x: number
  readonly y: number
  /** Side of the photograph: near, far, and where it passes or stays. */
  readonly near: number
  readonly far: number
  readonly side: number
}

/** The background: bars of light that wander. */
export interface Light {
  readonly phase: number
  /** Radians a frame. */
  readonly speed: number
  /** Rows of a bar, in shares of the height. */
  readonly bar: number
}

/** Where the photograph is at a share of the action's time: centre and side as shares. */
export function placeAt(
  { action, x, y, near, far, side }: Play,
  time: number,
): readonly [x: number, y: number, side: number] {
  switch (action) {
    case 'comes':
      return [x, y, far + (near - far) * time]
    case 'goes':
      return [x, y, near + (far - near) * time]
    case 'passes left':
      return [x + 1.1 - 2.2 * time, y, side]
    case 'passes right':
      return [x - 1.1 + 2.2 * time, y, side]
    default:
      return [x, y, side]
  }
}

/** Paints one picture: RGB, rows of pixels. */
export function paintAction(
  pixels: Uint8Array,
  size: { readonly width: number; readonly height: number },
  scene: {
    readonly photo: Photo
    readonly play: Play
    readonly light: Light
    readonly frame: number
    readonly time: number
  },
): void {
  const { photo, play, light, frame, time } = scene
  const { width, height } = size
  const now = light.phase + light.speed * frame
  for (let row = 0; row < height; row++) {
    const level = 110 + 40 * Math.sin(now) + 30 * Math.sin(row / (light.bar * height) + now)
    pixels.fill(level, row * width * 3, (row + 1) * width * 3)
  }
  const [x, y, share] = placeAt(play, time)
  const side = share * height
  const [left, top] = [x * width - side / 2, y * height - side / 2]
  const scale = photo.side / side
  for (let row = Math.max(0, Math.ceil(top)); row < Math.min(height, top + side); row++)
    for (let column = Math.max(0, Math.ceil(left)); column < Math.min(width, left + side); column++)
      sample(photo, (column - left) * scale - 0.5, (row - top) * scale - 0.5, pixels, (row * width + column) * 3)
}

/** The photograph at a place between its pixels. */
function sample({ data, side }: Photo, x: number, y: number, target: Uint8Array, at: number): void {
  const [x0, y0] = [clamped(Math.floor(x), side), clamped(Math.floor(y), side)]
  const [x1, y1] = [clamped(Math.floor(x) + 1, side), clamped(Math.floor(y) + 1, side)]
  const [fx, fy] = [x - Math.floor(x), y - Math.floor(y)]
  for (let c = 0; c < 3; c++) {
    const upper = data[(y0 * side + x0) * 3 + c]! * (1 - fx) + data[(y0 * side + x1) * 3 + c]! * fx
    const lower = data[(y1 * side + x0) * 3 + c]! * (1 - fx) + data[(y1 * side + x1) * 3 + c]! * fx
    target[at + c] = upper * (1 - fy) + lower * fy
  }
}

const clamped = (index: number, size: number): number => Math.min(Math.max(index, 0), size - 1)

/** Frames of one action of the running scene. */
const framesEach = 30
/** A photograph comes, stays and goes; the next one passes to and fro. */
const order: readonly Action[] = ['comes', 'stays', 'goes', 'passes left', 'passes right']

/** What the running scene shows in a frame, counted from 0. */
export function runningScene(
  frame: number,
  photos: number,
): { readonly photo: number; readonly play: Play; readonly time: number } {
  const number = Math.floor(frame / framesEach)
  const action = order[number % order.length]!
  const photo = Math.floor(number / 3) % photos
  const play = { action, x: 0.5, y: 0.5, near: 0.9, far: 0.15, side: action === 'stays' ? 0.9 : 0.55 }
  return { photo, play, time: ((frame % framesEach) + 1) / framesEach }
}
