/** A taught head looks at clips: on the mean of the vectors of their frames, served on the node's network and in a file. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { openClassifier, type Classifier } from '../../src/classifier.js'
import { frameOf } from '../../src/frame.js'
import type { RgbImage } from '../../src/pixels/image.js'
import type { TaughtLook } from '../../src/teach/head.js'
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
