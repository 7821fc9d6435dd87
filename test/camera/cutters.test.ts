/** Cutting a child's bytes into frames: wherever the chunks end, and whatever the rows are padded to. */
import { describe, expect, it } from 'vitest'
import { paddedCutter, rawCutter, y4mCutter, type FrameCutter, type FrameSink } from '../../src/camera/cutters.js'
import { frameBytes } from '../../src/frame.js'

function collect(): FrameSink & { readonly frames: Buffer[] } {
  const frames: Buffer[] = []
  return { frames, buffer: (bytes) => Buffer.alloc(bytes), complete: (frame) => void frames.push(frame) }
}

function feedIn(cutter: FrameCutter, bytes: Buffer, step: number): Buffer[] {
  const sink = collect()
  for (let at = 0; at < bytes.length; at += step) cutter.feed(bytes.subarray(at, at + step), sink)
  return sink.frames
}

const frame = (level: number, bytes: number): Buffer => Buffer.alloc(bytes, level)

describe('YUV4MPEG2', () => {
  const stream = Buffer.concat([
    Buffer.from('YUV4MPEG2 W5 H3 F30000:1001 Ip A0:0 C420jpeg XYSCSS=420JPEG\nFRAME\n'),
    frame(10, 27), // 15 of luma, twice 3 x 2 of chroma
    Buffer.from('FRAME Ip\n'),
    frame(20, 27),
  ])

  it.each([1, 2, 7, 60, 1000])('is cut alike in chunks of %i bytes', (step) => {
    const cutter = y4mCutter()
    expect(feedIn(cutter, stream, step)).toEqual([frame(10, 27), frame(20, 27)])
    expect(cutter.geometry).toEqual({ width: 5, height: 3, stride: 5, format: 'i420' })
    expect(cutter.fps).toBe(29.97)
  })

  it.each([
    ['text', 'no header\n'],
    ['other chroma', 'YUV4MPEG2 W4 H4 F25:1 C444\n'],
    ['a line without end', `YUV4MPEG2 ${'x'.repeat(600)}`],
    ['bytes between frames', 'YUV4MPEG2 W2 H2 F25:1 C420\nFRAME\nabcdefFRUME\n'],
  ])('%s is refused', (_, text) => {
    expect(() => feedIn(y4mCutter(), Buffer.from(text, 'latin1'), 5)).toThrow(/something other than 4:2:0/)
  })
})

it('raw frames are cut by their size', () => {
  const cutter = rawCutter({ width: 4, height: 2, stride: 4, format: 'i420' })
  expect(feedIn(cutter, Buffer.concat([frame(1, 12), frame(2, 12)]), 5)).toEqual([frame(1, 12), frame(2, 12)])
})

describe('padded rows', () => {
  /** Feeds frames as a camera program writes them: in pieces, with a pause behind each frame. */
  function play(width: number, height: number, stride: number, frames: number, missedPauses: readonly number[] = []) {
    let nowMs = 0
    const cutter = paddedCutter({ width, height, fps: 30 }, () => nowMs)
    const sink = collect()
    for (let i = 0; i < frames; i++) {
      const bytes = frame(i, frameBytes('i420', stride, height))
      for (let at = 0; at < bytes.length; at += 65_536) cutter.feed(bytes.subarray(at, at + 65_536), sink)
      if (!missedPauses.includes(i)) nowMs += 30
    }
    return { cutter, sink }
  }

  it.each([
    [320, 240, 384],
    [320, 240, 320],
    [448, 302, 512],
    [800, 600, 896],
    [960, 540, 1024],
    [960, 540, 960],
    [642, 480, 704],
    [1000, 750, 1024],
    [640, 480, 700], // an alignment that no table has
  ])('%i x %i in rows of %i bytes', (width, height, stride) => {
    const { cutter, sink } = play(width, height, stride, 6)
    expect(cutter.geometry).toEqual({ width, height, stride, format: 'i420' })
    expect(sink.frames.at(-1)!.equals(frame(5, frameBytes('i420', stride, height)))).toBe(true)
  })

  it('are found also where the first pauses were not seen', () => {
    const { cutter, sink } = play(800, 600, 896, 8, [0, 1])
    expect(cutter.geometry?.stride).toBe(896)
    expect(sink.frames.at(-1)!.equals(frame(7, frameBytes('i420', 896, 600)))).toBe(true)
  })

  it('are refused when no stride fits what comes', () => {
    let nowMs = 0
    const cutter = paddedCutter({ width: 640, height: 480, fps: 30 }, () => nowMs)
    expect(() => {
      for (let i = 0; i < 100; i++) {
        cutter.feed(Buffer.alloc(1000 + i), collect())
        nowMs += 30
      }
    }).toThrow(/frames of a size that does not fit/)
  })
})
