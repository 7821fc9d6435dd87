/** One frame to a prediction: which outcome each kind of fault has, and what the hooks see in between. */
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it, vi } from 'vitest'
import { openClassifier, type Classifier } from '../../src/classifier.js'
import { createView, type ClassifyHooks } from '../../src/engine/classify.js'
import type { Engine } from '../../src/engine/engine.js'
import { frameOf } from '../../src/frame.js'
import { decodeFile } from '../../src/pixels/decode.js'
import { createPreprocessor } from '../../src/pixels/preprocess.js'
import { projectRoot } from '../shared.js'

const bird = join(projectRoot, 'models/photos/bird.jpg')
let classifier: Classifier
beforeAll(async () => {
  classifier = await openClassifier({ model: join(projectRoot, 'models/efficientnet-lite0.onnx') })
})
afterAll(() => classifier.close())

/** Hooks that write down what they are called with. */
function listening(): { hooks: ClassifyHooks; calls: string[] } {
  const calls: string[] = []
  const hooks: ClassifyHooks = {
    onFrame: ({ seq }) => void calls.push(`frame ${seq}`),
    onPixelsRead: ({ seq }) => void calls.push(`read ${seq}`),
    onInput: (input) => void calls.push(`input ${input.length}`),
  }
  return { hooks, calls }
}

it('a photograph gets its label, with the times of the stages', async () => {
  const outcome = await classifier.classify(frameOf(await decodeFile(bird), { seq: 7 }))
  if (!outcome.ok) throw new Error(outcome.reason)
  const { top, frameSeq, timings } = outcome.prediction
  expect(top).toHaveLength(5)
  expect([top[0]!.label, frameSeq]).toEqual(['chickadee', 7])
  expect(timings.infer).toBeGreaterThan(0)
  expect(timings.total).toBeCloseTo(timings.capture + timings.preprocess + timings.infer, 6)
})

it('a view shows the network its own region, and gives as many labels as asked for', async () => {
  const picture = await decodeFile(bird)
  const view = classifier.view({ roi: { x: 0, y: 0, width: 0.2, height: 0.2 } }, 2)
  const [corner, whole] = [await view.classify(frameOf(picture)), await classifier.classify(frameOf(picture))]
  expect(corner.ok && corner.prediction.top).toHaveLength(2)
  expect(corner.ok && corner.prediction.top[0]!.score).not.toBe(whole.ok && whole.prediction.top[0]!.score)
  const { x, width } = view.shown(picture.width, picture.height)
  expect(x + width).toBeLessThanOrEqual(0.2 + 1e-6)
  view.close()
})

it('the hooks are called in order: the frame, its pixels read, the input', async () => {
  const { hooks, calls } = listening()
  const view = classifier.view()
  await view.classify(frameOf(await decodeFile(bird), { seq: 3 }), hooks)
  expect(calls).toEqual(['frame 3', 'read 3', `input ${classifier.input.data.length}`])
  view.close()
})

it('a frame whose input nobody wants is prepared and classified in one job, with the same outputs', async () => {
  const look = vi.spyOn(classifier.engine, 'look')
  const picture = await decodeFile(bird)
  let isWanted = true
  for (const roi of [undefined, { x: 0.3, y: 0.1, width: 0.4, height: 0.7 }]) {
    const view = classifier.view(roi && { roi, resize: 'contain' })
    const { hooks, calls } = listening()
    const logitsOf = async (): Promise<Float32Array> => {
      const outcome = await view.classify(frameOf(picture), { ...hooks, wantsInput: () => isWanted })
      if (!outcome.ok) throw new Error(outcome.reason)
      return outcome.prediction.logits.slice()
    }
    isWanted = true
    const inSteps = await logitsOf()
    expect(look).not.toHaveBeenCalled()
    isWanted = false
    expect(await logitsOf()).toEqual(inSteps)
    expect(look).toHaveBeenCalledOnce()
    look.mockClear()
    expect(calls).toEqual(['frame 1', 'read 1', `input ${classifier.input.data.length}`, 'frame 1', 'read 1'])
    view.close()
  }
  look.mockRestore()
})

it.each([true, false])(
  'a frame with too few pixels is an outcome, its pixels count as read, and the engine does not run (input wanted: %s)',
  async (isWanted) => {
    const { hooks, calls } = listening()
    const view = classifier.view()
    const pixels = new Uint8Array(9)
    const frame = { ...frameOf({ data: new Uint8Array(30 * 20 * 3), width: 30, height: 20 }), pixels }
    const before = Array.from(classifier.output.data, Number)
    const outcome = await view.classify(frame, { ...hooks, wantsInput: () => isWanted })
    expect(outcome).toMatchObject({ ok: false, reason: 'frame_invalid', error: { code: 'FRAME_INVALID' } })
    expect(calls).toEqual(['frame 1', 'read 1'])
    expect(Array.from(classifier.output.data, Number)).toEqual(before)
    expect((await view.classify(frameOf(await decodeFile(bird)))).ok).toBe(true)
    view.close()
  },
)

it('an engine refuses a pass that does not write its input', async () => {
  const spec = { ...classifier.preprocessing(), width: 32 }
  const preprocessor = createPreprocessor(spec)
  const native = preprocessor.native!
  const frame = frameOf(await decodeFile(bird))
  await expect(classifier.engine.look!(native, frame)).rejects.toThrow(/a pixel pass that writes/)
  await expect(classifier.engine.look!({} as typeof native, frame)).rejects.toThrow(/a pixel pass, a frame/)
  preprocessor.close()
})

it.each<[string, Pick<Engine, 'run'>, number]>([
  ['an engine that rejects', { run: () => Promise.reject(new Error('out of memory')) }, 3],
  ['outputs that are not one for each label', { run: () => Promise.resolve() }, 4],
])('%s is a fault of the engine', async (_, engine, labels) => {
  const spec = { ...classifier.preprocessing(), width: 4, height: 4 }
  const tensor = { name: 'x', type: 'float32', layout: 'none', shape: [3], inFileOrder: true } as const
  const view = createView({
    engine: { ...engine, describe: classifier.engine.describe },
    input: { ...tensor, data: new Float32Array(48) },
    read: () => new Float32Array(3),
    spec,
    preprocessor: createPreprocessor(spec),
    predict: (outputs) => {
      if (outputs.length !== labels) throw new TypeError(`Expected ${labels} outputs`)
      throw new Error('not reached')
    },
  })
  const frame = frameOf({ data: new Uint8Array(48), width: 4, height: 4 })
  await expect(view.classify(frame)).rejects.toMatchObject({ code: 'ENGINE_FAILED', exitStatus: 4 })
  view.close()
})
