/** CSI cameras through a program that pads its rows, as the image processors of a Pi 4 (to 64 bytes) and a Pi 5 (to 128) do. */
import { chmodSync, copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openCamera } from '../../src/camera/sources.js'
import { createPreprocessor } from '../../src/pixels/preprocess.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-csi-'))
const path = process.env['PATH']

beforeAll(() => {
  copyFileSync(join(projectRoot, 'test/camera/fake-rpicam-vid'), join(folder, 'rpicam-vid'))
  chmodSync(join(folder, 'rpicam-vid'), 0o755)
  process.env['PATH'] = `${folder}:${path}`
})
afterAll(() => {
  process.env['PATH'] = path
  delete process.env['ALIGN']
  rmSync(folder, { recursive: true, force: true })
})

it.each([
  [128, 320, 240],
  [128, 448, 301],
  [128, 800, 600],
  [64, 800, 600],
  [128, 960, 540],
  [64, 642, 480],
])('rows padded to %i bytes at %i x %i give the picture', async (align, width, height) => {
  process.env['ALIGN'] = String(align)
  const { signal } = new AbortController()
  const camera = openCamera('csi://0', { width, height, fps: 20 })
  const description = await camera.open(signal)
  const frame = (await camera.next(signal))!
  const evenHeight = Math.round(height / 2) * 2
  expect(description).toMatchObject({ width, height: evenHeight, format: 'i420' })
  expect(frame.stride).toBe(Math.ceil(width / align) * align)
  expect(camera.isLive).toBe(true)
  // Sixteen columns: each the level of its place in the ramp, in every row.
  const pass = createPreprocessor({
    width: 16,
    height: 4,
    layout: 'nhwc',
    type: 'uint8',
    order: 'rgb',
    mean: [0, 0, 0],
    std: [1, 1, 1],
    resize: 'stretch',
  })
  const shown = new Uint8Array(16 * 4 * 3)
  await pass.run(frame, shown)
  pass.close()
  frame.release()
  await camera.close()
  for (let y = 0; y < 4; y++)
    for (let x = 0; x < 16; x++)
      expect(Math.abs(shown[(y * 16 + x) * 3]! - ((200 * (x + 0.5)) / 16) * (255 / 219))).toBeLessThan(4)
})
