// Measures a camera's frame to the network's outputs, with preprocessing on the GPU and on the CPU, for
// scripts/board/cuda.mjs.
import { openClassifier } from '../../dist/classifier.js'
import { createPreprocessor } from '../../dist/pixels/preprocess.js'

const cameras = [
  { what: 'YUYV 640×480', format: 'yuyv', width: 640, height: 480, stride: 1280, bytes: 1280 * 480 },
  { what: 'NV12 1920×1080', format: 'nv12', width: 1920, height: 1080, stride: 1920, bytes: 1920 * 1620 },
]

const summary = (times) => {
  const sorted = times.sort((a, b) => a - b)
  return { leastMs: sorted[0], medianMs: sorted[sorted.length >> 1] }
}

/** Alternates both for `seconds` with each kind of frame. `isSame`: both prepared the same bits. */
export async function timeFrames(model, inputSize, seconds) {
  const classifier = await openClassifier({ model, engine: 'cuda', ...(inputSize ? { inputSize } : {}) })
  const spec = classifier.preprocessing()
  const passes = [classifier.preprocessor(spec), createPreprocessor(spec)]
  try {
    const results = []
    for (const { what, bytes, ...geometry } of cameras) {
      const frame = {
        ...geometry,
        pixels: Uint8Array.from({ length: bytes }, (_, i) => (i * 73 + (i >> 8) * 31) & 255),
      }
      const times = passes.map(() => [])
      const prepared = []
      for (const pass of passes) {
        await pass.run(frame, classifier.input.data)
        prepared.push(Buffer.from(classifier.input.data.slice().buffer))
      }
      for (const end = performance.now() + seconds * 1000; performance.now() < end; ) {
        for (const [i, pass] of passes.entries()) {
          const start = performance.now()
          await pass.run(frame, classifier.input.data)
          await classifier.engine.run()
          times[i].push(performance.now() - start)
        }
      }
      results.push({
        what,
        isSame: prepared[0].equals(prepared[1]),
        byGpu: { path: passes[0].path, ...summary(times[0]) },
        byCpu: summary(times[1]),
      })
    }
    return results
  } finally {
    for (const pass of passes) pass.close()
    await classifier.close()
  }
}
