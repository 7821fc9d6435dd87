/** A network at work holds nothing else up: timers of the event loop come in time while it runs. */
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { openModel } from '../../src/index.js'
import { projectRoot, sharedFolder } from '../shared.js'

const shared = sharedFolder()
const resnet = shared === null ? '' : join(shared, 'zoo/resnet18.onnx')

/** Without the shared folder, the default model at four times its pixels takes as long as a ResNet18. */
const model = existsSync(resnet)
  ? { path: resnet, side: 224 }
  : { path: join(projectRoot, 'models/efficientnet-lite0.onnx'), side: 448 }

/** The delay in ms that 99 of 100 timers stay under while `work` is done. */
async function delayDuring(work: () => Promise<void>): Promise<number> {
  const histogram = monitorEventLoopDelay({ resolution: 2 })
  histogram.enable()
  await work()
  histogram.disable()
  return histogram.percentile(99) / 1e6
}

it.each(['native', 'onnxruntime'] as const)('stays under 20 ms with a ResNet on %s', async (engine) => {
  const { path, side } = model
  const network = await openModel(path, { engine, threads: 1, inputSize: { height: side, width: side } })
  try {
    const image = new Float32Array(3 * side * side).fill(0.5)
    await network.run(image)
    const began = performance.now()
    await network.run(image)
    const runMs = performance.now() - began
    const runs = Math.max(3, Math.ceil(1500 / runMs))
    // Another program's turn on the processor can only lengthen a delay: the best of three rounds is ours.
    const rounds: number[] = []
    for (let round = 0; round < 3 && Math.min(Infinity, ...rounds) >= 20; round++) {
      rounds.push(
        await delayDuring(async () => {
          for (let i = 0; i < runs; i++) {
            await network.run(image)
            await delay(1)
          }
        }),
      )
    }
    expect(Math.min(...rounds), `a run takes ${runMs.toFixed(0)} ms`).toBeLessThan(20)
  } finally {
    await network.close()
  }
})

it('turns while a network of a few microseconds is awaited again and again', async () => {
  const network = await openModel(join(projectRoot, 'models/convnet-flatten.onnx'), { engine: 'native', threads: 1 })
  try {
    const image = new Float32Array(network.inputs[0]!.shape.reduce((count, size) => count * size, 1)).fill(0.5)
    let turns = 0
    const timer = setInterval(() => {
      turns++
    }, 1)
    for (let i = 0; i < 5000 && turns < 10; i++) await network.run(image)
    clearInterval(timer)
    expect(turns).toBeGreaterThanOrEqual(10)
  } finally {
    await network.close()
  }
})
