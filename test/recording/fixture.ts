import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { openClassifier, type Classifier } from '../../src/classifier.js'
import type { Frame } from '../../src/frame.js'
import { createMetrics } from '../../src/metrics.js'
import { Turns } from '../../src/run/zones/turns.js'
import { zonesOf } from '../../src/zone/definition.js'
import { Zone } from '../../src/zone/zone.js'
import { policyDefaults } from '../../src/decision/policy.js'
import type { Publisher } from '../../src/publish/publisher.js'
import { aboutOf } from '../../src/recording/about.js'
import { readRecording, type Recording } from '../../src/recording/format.js'
import { FlightRecorder, type RecorderOptions } from '../../src/recording/recorder.js'
import { Random } from '../random.js'
import { projectRoot } from '../shared.js'

/** Where the recordings of one test file go. */
export const folder = mkdtempSync(join(tmpdir(), 'gapcam-recording-'))
export let classifier: Classifier
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

export const about = (spec = classifier.preprocessing()): ReturnType<typeof aboutOf> =>
  aboutOf({ classifier, version: '0.1.0', node: 'desk', camera: 'cam0', topK: 3 }, spec)

export function frameOf(seq: number, side = 40): Frame {
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

export interface Rig {
  readonly recorder: FlightRecorder
  readonly warnings: string[]
  take(frame: Frame, stepMs?: number): Promise<void>
  close(): Promise<void>
}

export function rig(name: string, options: Partial<RecorderOptions> = {}): Rig {
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
    isSwitchedOn: true,
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

/** A recording of this many frames, on request. */
export async function recorded(
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
