/**
 * Recordings: what is written is read again, up to where a file was cut, never beyond what can be believed; a replay
 * finds the stage that was tampered with; memory and disk stay within their bounds; a full disk is said and survived.
 */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openClassifier, type Classifier } from '../../src/classifier.js'
import { GapcamError } from '../../src/errors.js'
import type { Frame } from '../../src/frame.js'
import { createMetrics } from '../../src/metrics.js'
import { Turns } from '../../src/run/turns.js'
import { zonesOf } from '../../src/zone/definition.js'
import { Zone } from '../../src/zone/zone.js'
import { policyDefaults } from '../../src/decision/policy.js'
import type { Publisher } from '../../src/publish/publisher.js'
import { aboutOf } from '../../src/recording/about.js'
import { checksumOf, digestOf } from '../../src/recording/digest.js'
import {
  encodeFrame,
  encodeStart,
  readRecording,
  type Recording,
  type RecordedFrame,
} from '../../src/recording/format.js'
import { FlightRecorder, type RecorderOptions } from '../../src/recording/recorder.js'
import { replay } from '../../src/recording/replay.js'
import { Random } from '../random.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-recording-'))
let classifier: Classifier
beforeAll(async () => {
  classifier = await openClassifier({
    model: join(projectRoot, 'models/convnet-gap.onnx'),
    inputSize: { height: 32, width: 32 },
    threads: 1,
  })
})
afterAll(async () => {
  await classifier.close()
  rmSync(folder, { recursive: true, force: true })
})

const about = (spec = classifier.preprocessing()): ReturnType<typeof aboutOf> =>
  aboutOf({ classifier, version: '0.1.0', node: 'desk', camera: 'cam0', topK: 3 }, spec)

function frameOf(seq: number, side = 40): Frame {
  const random = new Random(seq)
  const pixels = Uint8Array.from({ length: side * side * 3 }, () => random.between(0, 255))
  return {
    seq,
    capturedNs: 0n,
    wallTime: 1.7e12 + seq * 100,
    width: side,
    height: side,
    format: 'rgb24',
    stride: side * 3,
    pixels,
    copyTo: (target) => target.set(pixels),
    release: () => undefined,
  }
}

interface Rig {
  readonly recorder: FlightRecorder
  readonly warnings: string[]
  take(frame: Frame, stepMs?: number): Promise<void>
  close(): Promise<void>
}

function rig(name: string, options: Partial<RecorderOptions> = {}): Rig {
  const warnings: string[] = []
  const log = {
    info: () => undefined,
    warn: (text: string) => void warnings.push(text),
  } as unknown as RecorderOptions['log']
  const recorder = new FlightRecorder({
    folder: join(folder, name),
    seconds: 5,
    memoryBytes: 1e6,
    diskBytes: 1e7,
    on: [],
    about,
    log,
    ...options,
  })
  const publisher = {
    settled: () => undefined,
    event: () => undefined,
    result: () => undefined,
    cameraStatus: () => undefined,
  } as unknown as Publisher
  let nowMs = 1000
  const settings = {
    isEnabled: true,
    roi: null,
    policy: { ...policyDefaults, threshold: 0.05, consecutive: 1, margin: 0, smoothingMs: 100 },
  }
  const zone = new Zone({
    definition: zonesOf({ id: 'cam0', source: 'test' })[0]!,
    classifier,
    turns: new Turns(),
    topK: 3,
    settings: () => settings,
    publisher,
    recorder,
    metrics: createMetrics(0),
    clock: { now: () => nowMs, wall: () => 0 },
    onSettled: () => undefined,
  })
  return {
    recorder,
    warnings,
    async take(frame, stepMs = 100) {
      nowMs += stepMs
      await zone.take(frame)
    },
    async close() {
      await recorder.close()
      zone.close()
    },
  }
}

/** A recording of so many frames, on request. */
async function recorded(
  name: string,
  frames: number,
  options: Partial<RecorderOptions> = {},
): Promise<{ path: string; bytes: Buffer; recording: Recording }> {
  const { recorder, take, close } = rig(name, options)
  for (let i = 1; i <= frames; i++) await take(frameOf(i))
  const path = await recorder.request('asked for')
  await close()
  const bytes = readFileSync(path)
  return { path, bytes, recording: readRecording(bytes) }
}

describe('what is recorded', () => {
  it('is replayed bit for bit on what recorded it, from the middle of a run on', async () => {
    const { recorder, take, close } = rig('middle')
    for (let i = 1; i <= 9; i++) await take(frameOf(i))
    await recorder.request('first')
    for (let i = 10; i <= 19; i++) await take(frameOf(i))
    const recording = readRecording(readFileSync(await recorder.request('second')))
    await close()
    expect(recording).toMatchObject({ cut: null, about: { camera: 'cam0', reason: 'second', engine: 'native' } })
    expect(recording.frames.map(({ seq }) => seq)).toEqual([10, 11, 12, 13, 14, 15, 16, 17, 18, 19])
    expect(await replay(recording, classifier, about())).toEqual({
      frames: 10,
      demanded: 'bits',
      because: [],
      sameBits: 10,
      worst: 0,
      first: null,
      differing: 0,
    })
  })

  it('is within the tolerance on another engine, which is said', async () => {
    const { recording } = await recorded('engines', 6)
    const other = await openClassifier({
      model: join(projectRoot, 'models/convnet-gap.onnx'),
      inputSize: { height: 32, width: 32 },
      engine: 'onnxruntime',
      threads: 1,
    })
    const now = aboutOf(
      { classifier: other, version: '0.1.0', node: 'desk', camera: 'cam0', topK: 3 },
      other.preprocessing(),
    )
    const result = await replay(recording, other, now)
    expect(result).toMatchObject({ demanded: 'tolerance', frames: 6, first: null, differing: 0 })
    expect(result.because.join()).toMatch(/engine native then, onnxruntime now/)
    await other.close()
  })

  it('does not go with another model', async () => {
    const { recording } = await recorded('model', 2)
    const other = await openClassifier({ model: join(projectRoot, 'models/convnet-flatten.onnx'), threads: 1 })
    await expect(replay(recording, other, about())).rejects.toMatchObject({
      code: 'RECORDING_INVALID',
      message: expect.stringMatching(/^it was made with model convnet-gap/),
    })
    await other.close()
  })
})

describe('a replay names the first stage that differs:', () => {
  const tampered: [string, (frame: RecordedFrame) => Partial<RecordedFrame>, RegExp][] = [
    [
      'pixels',
      ({ pixels }) => ({ pixels: Uint8Array.from(pixels, (level, i) => (i === 77 ? level ^ 1 : level)) }),
      /^the stored pixels/,
    ],
    [
      'preprocess',
      ({ digests }) => ({ digests: { ...digests, input: '0'.repeat(32) } }),
      /^the network's input has other bits/,
    ],
    [
      'inference',
      ({ digests, logits }) => {
        const changed = logits.map((value, i) => (i === 2 ? Math.fround(value * (1 + 2 ** -22)) : value))
        return { logits: changed, digests: { ...digests, logits: digestOf(changed) } }
      },
      /^the logits are off by/,
    ],
    ['prediction', ({ top }) => ({ top: [top[1]!, top[0]!, top[2]!] }), / then, .* now$/],
    ['decision', ({ decision }) => ({ decision: { ...decision, label: 'something else' } }), /^something else .* then/],
  ]
  it.each(tampered)('%s', async (stage, change, what) => {
    const {
      recording: { about: facts, frames },
    } = await recorded(`tampered-${stage}`, 5)
    const changed = frames.map((frame, i) => (i === 2 ? { ...frame, ...change(frame) } : frame))
    const result = await replay({ about: facts, frames: changed, cut: null }, classifier, about())
    expect(result).toMatchObject({ first: { frame: 3, stage, what: expect.stringMatching(what) } })
  })
})

it('one bit anywhere changes the digest; where the bytes lie does not', () => {
  const random = new Random(3)
  for (let i = 0; i < 200; i++) {
    const bytes = Uint8Array.from({ length: random.between(1, 200) }, () => random.between(0, 255))
    const digest = digestOf(bytes)
    const shifted = new Uint8Array(bytes.length + 3)
    shifted.set(bytes, random.between(0, 3))
    const at = shifted.indexOf(bytes[0]!)
    if (shifted.subarray(at, at + bytes.length).every((v, j) => v === bytes[j]))
      expect(digestOf(shifted.subarray(at, at + bytes.length))).toBe(digest)
    bytes[random.between(0, bytes.length - 1)]! ^= 1 << random.between(0, 7)
    expect(digestOf(bytes)).not.toBe(digest)
  }
})

describe('a recording that is not whole', () => {
  it('is read up to where it was cut, wherever that is', async () => {
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

  it('never brings the reader or the replay down: 3,000 changed bytes, half of them with checksums that fit', async () => {
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
    // Each way out is taken, or the fuzzing is none.
    expect([refused > 200, shorter > 700, replayed > 40], `${refused} ${shorter} ${replayed}`).toEqual([
      true,
      true,
      true,
    ])
  })

  /** A place that matters: heads and JSON rather than pixels. */
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

describe('the flight recorder', () => {
  it('keeps the last seconds, and no more memory than it may', async () => {
    const short = await recorded('seconds', 40, { seconds: 1 })
    expect(short.recording.frames.at(-1)!.seq).toBe(40)
    expect(short.recording.frames.length).toBeGreaterThanOrEqual(10)
    expect(short.recording.frames.length).toBeLessThanOrEqual(12)
    const small = await recorded('memory', 40, { memoryBytes: 5 * 4800 })
    expect(small.recording.frames.map(({ seq }) => seq)).toEqual([36, 37, 38, 39, 40])
  })

  it("writes by itself when the label changes, once a ring's length", async () => {
    const { recorder, take, close } = rig('events', { on: ['label_changed'], seconds: 1 })
    // Two pictures that the network tells apart, each for half a second: eight changes in four seconds.
    const [one, two] = await twoLabels()
    for (let i = 0; i < 40; i++) {
      await take({ ...(Math.floor(i / 5) % 2 === 0 ? one : two), seq: i + 1 })
      await recorder.idle
    }
    await close()
    await recorder.close()
    const files = readdirSync(join(folder, 'events'))
    expect(files.length).toBeGreaterThanOrEqual(2)
    expect(files.length).toBeLessThanOrEqual(5)
    for (const file of files)
      expect(readRecording(readFileSync(join(folder, 'events', file)))).toMatchObject({
        cut: null,
        about: { reason: 'label_changed' },
      })
  })

  async function twoLabels(): Promise<[Frame, Frame]> {
    const pass = (await import('../../src/pixels/preprocess.js')).createPreprocessor(classifier.preprocessing())
    const seen = new Map<number, Frame>()
    for (let seed = 1; seen.size < 2 && seed < 200; seed++) {
      const level = (seed * 37) % 256
      const frame = frameOf(seed)
      const flat = (frame.pixels as Uint8Array).map((v, i) => (seed % 2 === 0 ? v : i % 120 < 60 ? level : 255 - level))
      const candidate = { ...frame, pixels: flat, copyTo: (target: Uint8Array) => target.set(flat) }
      await pass.run(candidate, classifier.input.data as Float32Array)
      await classifier.engine.run()
      const logits = [...(classifier.output.data as Float32Array)]
      seen.set(logits.indexOf(Math.max(...logits)), candidate)
    }
    pass.close()
    const [one, two] = [...seen.values()]
    if (!one || !two) throw new Error('the network gives one label to everything')
    return [one, two]
  }

  it('deletes the oldest recordings when the disk that it may take is used up', async () => {
    const name = 'disk'
    mkdirSync(join(folder, name))
    const one = (await recorded(name, 10)).bytes.length
    for (let i = 0; i < 5; i++) {
      const { path } = await recorded(name, 10, { diskBytes: one * 3.5 + 9e4 })
      // Names are of the frames' time, which is the same here: told apart, and aged, by hand.
      const kept = join(folder, name, `cam0-${i}.gcrec`)
      execFileSync('mv', [path, kept])
      utimesSync(kept, 1000 + i, 1000 + i)
    }
    const files = readdirSync(join(folder, name))
    expect(files).toContain('cam0-4.gcrec')
    expect(files).not.toContain('cam0-0.gcrec')
    expect(files.reduce((sum, file) => sum + statSync(join(folder, name, file)).size, 0)).toBeLessThanOrEqual(
      one * 3.5 + 9e4,
    )
  })

  const canMount =
    process.getuid?.() === 0 &&
    (() => {
      try {
        mkdirSync(join(folder, 'probe'))
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', join(folder, 'probe')], { stdio: 'ignore' })
        execFileSync('umount', [join(folder, 'probe')], { stdio: 'ignore' })
        return true
      } catch {
        return false
      }
    })()
  it.skipIf(!canMount)(
    'says once that the disk is full, leaves nothing half-written, goes on, and records again when there is room (skipped where no file system may be mounted)',
    async () => {
      const disk = join(folder, 'full')
      mkdirSync(disk)
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk])
      try {
        writeFileSync(join(disk, 'other'), Buffer.alloc(60_000))
        const { recorder, warnings, take, close } = rig('full', { on: ['label_changed'], seconds: 0.2 })
        const [one, two] = await twoLabels()
        for (let i = 0; i < 20; i++) {
          await take({ ...(Math.floor(i / 3) % 2 === 0 ? one : two), seq: i + 1 })
          await recorder.idle
        }
        await expect(recorder.request('asked for')).rejects.toMatchObject({
          code: 'RECORDING_NOT_WRITTEN',
          message: expect.stringMatching(/: the disk is full$/),
        })
        expect(warnings).toEqual([expect.stringMatching(/: the disk is full$/)])
        expect(readdirSync(disk)).toEqual(['other'])
        rmSync(join(disk, 'other'))
        await take({ ...one, seq: 50 })
        expect(readRecording(readFileSync(await recorder.request('asked for'))).frames.at(-1)!.seq).toBe(50)
        await close()
      } finally {
        execFileSync('umount', [disk])
      }
    },
  )

  it('has nothing to write before the first frame', async () => {
    const { recorder, close } = rig('empty')
    await expect(recorder.request('asked for')).rejects.toMatchObject({ code: 'RECORDING_NOT_WRITTEN' })
    await close()
  })
})
