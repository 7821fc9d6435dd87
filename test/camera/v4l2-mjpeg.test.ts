/**
 * MJPEG from a V4L2 device. The kernel's test driver has no MJPEG, so a class plays the native capture here. Its data is
 * real: JPEG as USB cameras write it, whole, without Huffman tables, padded, with stray bytes, cut and empty.
 */
import sharp from 'sharp'
import { expect, it, vi } from 'vitest'
import type { CapturedFrame, NativeCapture } from '../../src/addon-capture.js'
import { openV4l2 } from '../../src/camera/v4l2.js'

const played: Uint8Array[] = []
let released = 0

class PlayedCapture implements NativeCapture {
  readonly dropped = 0
  readonly reclaimed = 0
  #seq = 0

  async open(): ReturnType<NativeCapture['open']> {
    return { name: 'played', fourcc: 'MJPG', width: 64, height: 48, stride: 0, fps: 30 }
  }

  async next(): Promise<CapturedFrame> {
    const bytes = played[this.#seq++]
    if (!bytes)
      throw Object.assign(new Error('camera /dev/video9: gives no frame: No such device'), { code: 'CAMERA_LOST' })
    return {
      native: true,
      seq: this.#seq,
      capturedNs: 5n,
      bytes: bytes.length,
      copyTo: (target) => target.set(bytes),
      release: () => {
        released++
      },
    }
  }

  close(): void {}
}

vi.mock('../../src/addon.js', () => ({ loadAddon: () => ({ addon: { Capture: PlayedCapture } }) }))

/** Without its Huffman tables (segments DHT, FF C4), as AVI's MJPEG and many cameras leave them out. */
function withoutTables(jpeg: Buffer): Buffer {
  const kept = [jpeg.subarray(0, 2)]
  let at = 2
  while (jpeg[at + 1] !== 0xda) {
    const next = at + 2 + jpeg.readUInt16BE(at + 2)
    if (jpeg[at + 1] !== 0xc4) kept.push(jpeg.subarray(at, next))
    at = next
  }
  return Buffer.concat([...kept, jpeg.subarray(at)])
}

/** With scan parameters that a sequential JPEG does not use, as some webcams write them. */
function withWrongScan(jpeg: Buffer): Buffer {
  const changed = Buffer.from(jpeg)
  const scan = changed.indexOf(Buffer.from([0xff, 0xda]))
  changed[scan + 2 + changed.readUInt16BE(scan + 2) - 2] = 0
  return changed
}

it('damaged pictures are skipped and counted, the first in a row is reported, and the camera is not lost', async () => {
  const noise = { type: 'gaussian', mean: 128, sigma: 40 } as const
  const jpeg = await sharp({ create: { width: 64, height: 48, channels: 3, background: '#fff', noise } })
    .jpeg({ optimiseCoding: false })
    .toBuffer()
  const cut = jpeg.subarray(0, jpeg.length / 2)
  played.push(
    cut,
    new Uint8Array(0),
    Buffer.from('no picture'),
    jpeg,
    withoutTables(jpeg),
    cut,
    Buffer.concat([jpeg, Buffer.alloc(300)]),
    withWrongScan(jpeg),
  )
  const camera = openV4l2('/dev/video9', {})
  const warnings: string[] = []
  camera.onWarning = (error) => {
    warnings.push(error.message)
  }
  const { signal } = new AbortController()
  expect(await camera.open(signal)).toMatchObject({ format: 'jpeg', width: 64, height: 48 })

  const frames = []
  for (let i = 0; i < 4; i++) frames.push(await camera.next(signal))
  expect(frames.map((frame) => frame?.seq)).toEqual([4, 5, 7, 8])
  for (const frame of frames)
    expect(frame).toMatchObject({ format: 'rgb24', width: 64, height: 48, stride: 192, capturedNs: 5n })
  // The standard tables are what was left out: the same picture.
  expect(Buffer.compare(frames[1]!.pixels as Uint8Array, frames[0]!.pixels as Uint8Array)).toBe(0)
  expect(camera.dropped).toBe(4)
  expect(released).toBe(8)
  expect(warnings).toEqual([
    expect.stringMatching(/frame 1 of \/dev\/video9/),
    expect.stringMatching(/frame 6 of \/dev\/video9/),
  ])

  await expect(camera.next(signal)).rejects.toMatchObject({ code: 'CAMERA_LOST' })
  await camera.close()
})
