/** A taught head looks at clips: on the mean of the vectors of their frames, and on a network over clips; in a file and served. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { expect, it, onTestFinished } from 'vitest'
import { paintAction, type Action } from '../../src/camera/clip-scene.js'
import { openClassifier, type Classifier } from '../../src/classifier.js'
import { frameOf } from '../../src/frame.js'
import { keptClip } from '../../src/pixels/clip.js'
import type { RgbImage } from '../../src/pixels/image.js'
import { shownAs } from '../../src/run/teaching/clip.js'
import { ClipShow } from '../../src/engine/clip-show.js'
import type { TaughtLook } from '../../src/teach/head.js'
import { openTaughtHead } from '../../src/teach/taught-head.js'
import { openTeacher } from '../../src/teach/teacher.js'
import { projectRoot } from '../shared.js'

const states = ['upper', 'lower']
const clip = { frames: 4, everyMs: 100 }

/** A picture whose upper or lower half is bright; each number is another one. */
function picture(state: string, number: number): RgbImage {
  const data = Uint8Array.from({ length: 40 * 40 * 3 }, (_, i) => {
    const isBright = i < 40 * 40 * 1.5 === (state === 'upper')
    return (isBright ? 180 : 50) + ((i * (number + 3)) % 29)
  })
  return { data, width: 40, height: 40 }
}

/** The best label after each picture, one every 100 ms; null without a whole clip. */
async function labelsOf(classifier: Classifier, pictures: readonly RgbImage[]): Promise<(string | null)[]> {
  const view = classifier.view()
  const labels: (string | null)[] = []
  for (const [i, each] of pictures.entries()) {
    const outcome = await view.classify(frameOf(each, { capturedNs: BigInt(i) * 100_000_000n }))
    labels.push(outcome.ok ? outcome.prediction.top[0]!.label : null)
  }
  view.close()
  return labels
}

it('the label follows the mean over the clip, in a file and on the network', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gapcam-taught-clips-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const model = join(projectRoot, 'models/convnet-gap.onnx')
  const teacher = await openTeacher({ model, engine: { threads: 1, inputSize: { height: 32, width: 32 } } })
  onTestFinished(() => teacher.close())
  const looks: TaughtLook[] = []
  for (let i = 0; i < 8; i++) {
    const seen = await teacher.glanceAt(picture(states[i % 2]!, i))
    looks.push({ ...seen, state: i % 2, picture: i })
  }
  const { head } = await teacher.fit(states, looks, [])
  writeFileSync(join(folder, 'whole.onnx'), teacher.write(head))
  writeFileSync(join(folder, 'head.onnx'), teacher.headBytes(head))
  const shown = ['upper', 'upper', 'upper', 'upper', 'lower', 'lower', 'lower', 'lower']
  const pictures = shown.map((state, i) => picture(state, 20 + i))
  const classifiers = [
    await teacher.serve(join(folder, 'head.onnx'), 'halves', clip),
    await openClassifier({ model: join(folder, 'whole.onnx'), threads: 1, task: 'video', clip }),
  ]
  for (const classifier of classifiers) {
    expect(classifier).toMatchObject({ task: 'video', clip })
    const labels = await labelsOf(classifier, pictures)
    expect(labels.slice(0, 3)).toEqual([null, null, null])
    // One of four frames is another one: the clip still shows what most of it shows.
    expect(labels.slice(3, 5)).toEqual(['upper', 'upper'])
    expect(labels.at(-1)).toBe('lower')
    await classifier.close()
  }
})

const size = { width: 64, height: 64 }

/** Sixteen frames of a photograph that does something; each number is another place. */
async function clipOf(photo: string, action: Action, number: number): Promise<readonly RgbImage[]> {
  const file = sharp(join(projectRoot, 'models/photos', photo))
    .resize(60, 60)
    .removeAlpha()
    .raw()
  const data = await file.toBuffer()
  const play = { action, x: 0.4 + number / 20, y: 0.6 - number / 20, near: 0.9, far: 0.2, side: 0.6 }
  return Array.from({ length: 16 }, (_, i) => {
    const pixels = new Uint8Array(size.width * size.height * 3)
    const light = { phase: number, speed: 0.04, bar: 0.08 }
    paintAction(pixels, size, { photo: { data, side: 60 }, play, light, frame: i, time: (i + 3) / 20 })
    return { ...size, data: pixels }
  })
}

const clips = join(projectRoot, 'models/clips.onnx')

async function labelOf(classifier: Classifier, frames: readonly RgbImage[]): Promise<string> {
  const view = classifier.view()
  try {
    const outcome = await new ClipShow(view, classifier.clip!).show(frames)
    if (!outcome.ok) throw new Error(outcome.reason)
    return outcome.prediction.top[0]!.label
  } finally {
    view.close()
  }
}

it('a network over clips is taught clips, which are kept, undone and there again after a restart', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gapcam-taught-clips-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const teacher = await openTeacher({ model: clips, engine: { threads: 1 } })
  onTestFinished(() => teacher.close())
  const head = await openTaughtHead(folder, 'door')
  for (const action of ['comes', 'goes'] as const)
    for (let i = 0; i < 3; i++)
      await head.add(`it ${action}`, await keptClip(await clipOf('dragonfly.jpg', action, i)), null)
  const first = await head.fit(teacher)
  expect(first.model).toMatchObject({ name: 'clips', clip: { frames: 16, everyMs: 100 }, path: clips })
  expect(first.report.advice).toContain('more clips')

  const other = await clipOf('sunflower.jpg', 'goes', 2)
  writeFileSync(join(folder, 'door.onnx'), await head.exported(teacher))
  const file = await openClassifier({ model: join(folder, 'door.onnx'), threads: 1 })
  const served = await teacher.serve(head.store.headFile(first.head), 'door')
  expect([file.clip, served.clip]).toEqual([file.clip, file.clip])
  expect([await labelOf(file, other), await labelOf(served, other)]).toEqual(['it goes', 'it goes'])
  await file.close()

  // A clip that begins in a zone goes on after a look of the teacher through the same engine.
  const view = served.view()
  const half = other.slice(0, 8).entries()
  for (const [i, frame] of half) await view.classify(frameOf(frame, { capturedNs: BigInt(i) * 100_000_000n }))
  await teacher.glanceAt(await clipOf('bird.jpg', 'comes', 1))
  let label: string | null = null
  for (let i = 8; i < 16; i++) {
    const outcome = await view.classify(frameOf(other[i]!, { capturedNs: BigInt(i) * 100_000_000n }))
    label = outcome.ok ? outcome.prediction.top[0]!.label : null
  }
  expect(label).toBe('it goes')
  view.close()
  await served.close()

  await head.add('it goes', await keptClip(other), null)
  await head.fit(teacher)
  await head.undo()
  const again = await openTaughtHead(folder, 'door')
  expect(again.record.served?.head).toBe(first.head)
  expect(again.record.pictures).toHaveLength(6)
})

it('the present clip of a view is what the network sees, oldest frame first', async () => {
  const classifier = await openClassifier({ model: clips, threads: 1 })
  onTestFinished(() => classifier.close())
  const view = classifier.view()
  onTestFinished(() => view.close())
  const levelsOf = (): readonly number[] | undefined => view.shot?.()?.map(({ data }) => data[1]!)
  for (let i = 0; i < 18; i++) {
    expect(levelsOf()).toEqual(i < 16 ? undefined : Array.from({ length: 16 }, (_, k) => 10 * (i - 16 + k)))
    const frame = frameOf({ ...size, data: new Uint8Array(64 * 64 * 3).fill(10 * i) })
    await view.classify({ ...frame, capturedNs: BigInt(i) * 100_000_000n })
  }
})

it('what is no clip of the network is refused with what it needs', async () => {
  const clip = { frames: 16, everyMs: 100, path: clips }
  const frames = await clipOf('cat.jpg', 'stays', 0)
  const short = await keptClip(frames.slice(0, 5))
  const single = await sharp(frames[0]!.data, { raw: { ...size, channels: 3 } })
    .png()
    .toBuffer()
  const needs = 'the network clips looks at clips of 16 frames, and this is'
  await expect(shownAs(clip, short)).rejects.toThrow(`${needs} a clip of 5`)
  await expect(shownAs(clip, single)).rejects.toThrow(`${needs} one picture`)
  const cut = Buffer.from('GCREC\u0001\r\nhalf a head', 'latin1')
  await expect(shownAs(clip, cut)).rejects.toThrow('recording that was given: ')
  const teacher = await openTeacher({ model: clips, engine: { threads: 1 } })
  onTestFinished(() => teacher.close())
  await expect(teacher.lookAt(frames[0]!)).rejects.toThrow(`${needs} one picture`)
})
