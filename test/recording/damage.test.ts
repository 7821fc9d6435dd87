import { describe, expect, it } from 'vitest'
import { GapcamError } from '../../src/errors.js'
import { checksumOf } from '../../src/recording/digest.js'
import { encodeFrame, encodeStart, readRecording, type RecordedFrame } from '../../src/recording/format.js'
import { replay } from '../../src/recording/replay.js'
import { Random } from '../random.js'

import { about, classifier, recorded } from './fixture.js'
describe('a damaged recording', () => {
  it('is read up to the cut, at any byte', async () => {
    const { bytes, recording } = await recorded('cut', 4)
    const start = Buffer.concat(encodeStart(recording.about)).length
    for (let end = 0; end < bytes.length; end += end < start + 40 ? 1 : 97) {
      if (end < start) {
        expect(() => readRecording(bytes.subarray(0, end)), String(end)).toThrow(GapcamError)
        continue
      }
      const { frames, cut } = readRecording(bytes.subarray(0, end))
      expect(recording.frames.slice(0, frames.length).map(({ seq }) => seq)).toEqual(frames.map(({ seq }) => seq))
      if (end > start)
        expect(cut === null).toBe(
          frames.reduce(
            (sum, frame) => sum + Buffer.concat(encodeFrame(factsOnly(frame), frame.pixels, frame.logits)).length,
            start,
          ) === end,
        )
    }
    const half = readRecording(bytes.subarray(0, Math.round(bytes.length * 0.6)))
    expect(half).toMatchObject({ cut: expect.stringMatching(/^byte \d+ of \d+: the recording ends within a record$/) })
    expect(await replay(half, classifier, about())).toMatchObject({ frames: 2, first: null, sameBits: 2 })
  })

  function factsOnly(frame: RecordedFrame): Parameters<typeof encodeFrame>[0] {
    const { pixels: _, logits: __, ...facts } = frame
    return facts
  }

  it('never crashes the reader or the replay: 3,000 changed bytes, half of them with checksums that fit', async () => {
    const { bytes } = await recorded('fuzz', 3)
    const random = new Random(99)
    let [refused, shorter, replayed] = [0, 0, 0]
    for (let i = 0; i < 3000; i++) {
      const changed = Buffer.from(bytes)
      for (let k = random.between(1, 3); k > 0; k--)
        changed[hit(random, bytes)] =
          random.next() < 0.3 ? random.pick([0, 255, 0x22, 0x2d, 0x39, 0x7b]) : random.between(0, 255)
      if (random.next() < 0.1) changed.fill(random.between(0, 255), random.between(0, bytes.length - 1))
      if (i % 2 === 0) seal(changed)
      try {
        const recording = readRecording(changed)
        if (recording.frames.length < 3) shorter++
        if (i % 10 === 0 && recording.frames.length > 0) {
          await replay(recording, classifier, about())
          replayed++
        }
      } catch (error) {
        expect(error, String(error)).toBeInstanceOf(GapcamError)
        expect((error as GapcamError).code).toMatch(/^(RECORDING_INVALID|FRAME_INVALID)$/)
        refused++
      }
    }
    // Each outcome occurs, otherwise the fuzzing tests nothing.
    expect([refused > 200, shorter > 700, replayed > 40], `${refused} ${shorter} ${replayed}`).toEqual([
      true,
      true,
      true,
    ])
  })

  /** A byte to change: rather in heads and JSON than in pixels. */
  function hit(random: Random, bytes: Buffer): number {
    if (random.next() < 0.3) return random.between(0, bytes.length - 1)
    let at = 8
    const records: number[] = []
    while (at < bytes.length) {
      records.push(at)
      at += 16 + bytes.readUInt32LE(at + 4) + bytes.readUInt32LE(at + 8)
    }
    const record = random.pick(records)
    return random.between(record, record + 15 + bytes.readUInt32LE(record + 4))
  }

  /** Gives every record that still has its length a checksum that fits. */
  function seal(bytes: Buffer): void {
    for (let at = 8; at + 16 <= bytes.length; ) {
      const [json, data] = [bytes.readUInt32LE(at + 4), bytes.readUInt32LE(at + 8)]
      const end = at + 16 + json + data
      if (end > bytes.length) return
      const parts = [
        bytes.subarray(at, at + 12),
        bytes.subarray(at + 16, at + 16 + json),
        bytes.subarray(at + 16 + json, end),
      ]
      bytes.writeUInt32LE(checksumOf(Uint32Array.from(parts, checksumOf)), at + 12)
      at = end
    }
  }
})
