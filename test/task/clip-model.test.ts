/** The clip classifier of the package tells what happens in clips of a photograph that it has not learned from. */
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { actions, paintAction, runningScene, type Photo } from '../../src/camera/clip-scene.js'
import { openCamera } from '../../src/camera/sources.js'
import { openClassifier } from '../../src/classifier.js'
import type { Classification } from '../../src/engine/classify.js'
import { frameOf } from '../../src/frame.js'
import { loadSharp } from '../../src/pixels/sharp.js'
import { projectRoot } from '../shared.js'

const model = join(projectRoot, 'models/clips.onnx')
const size = { width: 128, height: 96 }

async function photoOf(file: string): Promise<Photo> {
  const sharp = await loadSharp()
  const photo = sharp(join(projectRoot, 'models/photos', file))
    .resize(120, 120, { fit: 'cover' })
    .removeAlpha()
    .raw()
  return { data: await photo.toBuffer(), side: 120 }
}

it('tells the five actions apart', async () => {
  const classifier = await openClassifier({ model, threads: 1 })
  onTestFinished(() => classifier.close())
  expect(classifier).toMatchObject({ task: 'video', labels: [...actions], clip: { frames: 16, everyMs: 100 } })
  const view = classifier.view()
  const photo = await photoOf('parrot.jpg')
  let nowNs = 0n
  for (const action of actions) {
    const play = { action, x: 0.5, y: 0.5, near: 0.9, far: 0.2, side: 0.6 }
    let outcome: Classification | undefined
    nowNs += 10_000_000_000n
    for (let i = 0; i < 16; i++) {
      const data = new Uint8Array(size.width * size.height * 3)
      paintAction(data, size, {
        photo,
        play,
        light: { phase: 1, speed: 0.04, bar: 0.08 },
        frame: i,
        time: (i + 5) / 25,
      })
      nowNs += 100_000_000n
      outcome = await view.classify(frameOf({ ...size, data }, { capturedNs: nowNs }))
    }
    expect(outcome!.ok && outcome!.prediction.top[0]!.label).toBe(action)
    expect(outcome!.ok && outcome!.prediction.found).toEqual({ task: 'video', frames: 16, spanMs: 1500 })
  }
})

it('test://?scene=clips plays the actions one after the other, and says which in truth', async () => {
  const camera = openCamera('test://?scene=clips&fps=1000', { width: 64, height: 48 })
  onTestFinished(() => camera.close())
  const { signal } = new AbortController()
  await camera.open(signal)
  const seen: string[] = []
  for (let i = 0; i < 151; i++) {
    const frame = await camera.next(signal)
    if (seen.at(-1) !== frame!.truth) seen.push(frame!.truth!)
    expect(frame!.truth).toBe(runningScene(i, 8).play.action)
  }
  expect(seen).toEqual(['comes', 'stays', 'goes', 'passes left', 'passes right', 'comes'])
})

it('refuses a scene that there is none of', () => {
  expect(() => openCamera('test://?scene=clip', {})).toThrow('there is no scene clip, only clips')
})
