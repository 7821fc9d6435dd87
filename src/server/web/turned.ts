/** Pictures come as the camera delivers them; the page shows them upright. */
import type { View } from './geometry.js'

/** Draws the frame rotated, then flipped, and gives the canvas its size. */
export function drawTurned(canvas: HTMLCanvasElement, bitmap: ImageBitmap, { rotate, flipX, flipY }: View): void {
  const isUpright = rotate % 180 === 0
  const [width, height] = isUpright ? [bitmap.width, bitmap.height] : [bitmap.height, bitmap.width]
  if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height]
  const context = canvas.getContext('2d')!
  context.setTransform(flipX ? -1 : 1, 0, 0, flipY ? -1 : 1, flipX ? width : 0, flipY ? height : 0)
  context.translate(width / 2, height / 2)
  context.rotate((rotate * Math.PI) / 180)
  context.drawImage(bitmap, -bitmap.width / 2, -bitmap.height / 2)
}
