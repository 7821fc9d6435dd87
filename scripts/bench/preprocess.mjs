// Times the way from a frame in memory to the network's normalised input:  node scripts/bench/preprocess.mjs [--seconds 5] [--json]
// The time runs from JavaScript's call to the resolved promise, with the way to the pixel thread and back. A memcpy of the
// same frame is timed beside it.
import { parseArgs } from 'node:util'
import { createPreprocessor } from '../../dist/pixels/preprocess.js'

const { values: options } = parseArgs({
  options: { seconds: { type: 'string', default: '5' }, json: { type: 'boolean', default: false } },
})
const spec = {
  width: 224,
  height: 224,
  layout: 'nhwc',
  type: 'float32',
  order: 'rgb',
  mean: [127, 127, 127],
  std: [128, 128, 128],
  resize: 'cover',
}

const hexagon = [0, 1, 2, 3, 4, 5].map((i) => [0.5 + 0.37 * Math.cos(i * 1.05), 0.5 + 0.5 * Math.sin(i * 1.05)])

/** Frames of common cameras. The performance target is about the first. */
const frames = [
  {
    what: 'YUYV 640×480 → 224×224',
    isTarget: true,
    format: 'yuyv',
    width: 640,
    height: 480,
    stride: 1280,
    bytes: 1280 * 480,
  },
  { what: 'YUYV 1280×720 → 224×224', format: 'yuyv', width: 1280, height: 720, stride: 2560, bytes: 2560 * 720 },
  { what: 'I420 640×480 → 224×224', format: 'i420', width: 640, height: 480, stride: 640, bytes: 640 * 720 },
  { what: 'NV12 640×480 → 224×224', format: 'nv12', width: 640, height: 480, stride: 640, bytes: 640 * 720 },
  { what: 'RGB24 640×480 → 224×224', format: 'rgb24', width: 640, height: 480, stride: 1920, bytes: 1920 * 480 },
  {
    what: 'YUYV 640×480 → 224×224, planes',
    format: 'yuyv',
    width: 640,
    height: 480,
    stride: 1280,
    bytes: 1280 * 480,
    layout: 'nchw',
  },
  {
    what: 'YUYV 640×480 → 224×224, hexagon',
    format: 'yuyv',
    width: 640,
    height: 480,
    stride: 1280,
    bytes: 1280 * 480,
    mask: { polygon: hexagon, fill: [127, 127, 127] },
  },
]

async function times(work, seconds) {
  const list = []
  for (let i = 0; i < 20; i++) await work()
  for (const end = performance.now() + seconds * 1000; performance.now() < end; ) {
    const start = performance.now()
    await work()
    list.push(performance.now() - start)
  }
  return list.sort((a, b) => a - b)
}

async function measure({ what, isTarget = false, bytes, layout = spec.layout, mask, ...geometry }, seconds) {
  const pixels = Buffer.from(Uint8Array.from({ length: bytes }, (_, i) => (i * 73 + (i >> 8) * 31) & 255))
  const pass = createPreprocessor({ ...spec, layout, mask })
  const frame = { ...geometry, pixels, seq: 0, capturedNs: 0n }
  const target = new Float32Array(3 * spec.width * spec.height)
  const copy = Buffer.alloc(bytes)
  const took = await times(() => pass.run(frame, target), seconds)
  const memcpy = await times(() => pixels.copy(copy), seconds / 5)
  pass.close()
  return {
    what,
    isTarget,
    path: pass.path,
    minMs: took[0],
    medianMs: took[took.length >> 1],
    memcpyMs: memcpy[0],
    overMemcpy: took[0] / memcpy[0],
  }
}

const passes = []
for (const frame of frames) {
  passes.push(await measure(frame, Number(options.seconds) / frames.length))
  const { what, minMs, medianMs, memcpyMs, overMemcpy } = passes.at(-1)
  console.error(
    `${what.padEnd(36)} least ${minMs.toFixed(3)} ms  median ${medianMs.toFixed(3)} ms  memcpy ${memcpyMs.toFixed(4)} ms  ratio ${overMemcpy.toFixed(1)}`,
  )
}
if (options.json) console.log(JSON.stringify({ passes }))
