import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openClassifier } from '../../src/classifier.js'
import { aboutOf } from '../../src/recording/about.js'
import { digestOf } from '../../src/recording/digest.js'
import { readRecording, type RecordedFrame } from '../../src/recording/format.js'
import { replay } from '../../src/recording/replay.js'
import { projectRoot } from '../shared.js'

import { about, classifier, frameOf, recorded, rig } from './fixture.js'
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

  it('is within the tolerance on another engine, and the result says so', async () => {
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

  it('is refused for another model', async () => {
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
