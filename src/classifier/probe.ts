/**
 * Runs an open model on a few generated pictures, to see in which range its outputs lie. It serves models if the graph
 * does not tell. The pictures are the same in each process, so the answer is reproducible.
 */
import type { Quantization } from '../decision/prediction.js'
import { frameOf } from '../frame.js'
import type { Preprocessor } from '../pixels/spec.js'
import type { PictureInput } from './input.js'
import type { RowReader } from './scores.js'

/** A slow model is not asked again after so long. */
const enoughMs = 1500
const side = 64

/** The outputs for up to three pictures, dequantised. Rejects with the engine's error. */
export async function probeOutputs(parts: {
  readonly run: () => Promise<void>
  readonly input: Pick<PictureInput, 'pixels'>
  readonly preprocessor: Preprocessor
  readonly read: RowReader
  readonly quantization: Quantization | null
}): Promise<readonly Float32Array[]> {
  const { run, input, preprocessor, read, quantization } = parts
  const { scale, zeroPoint } = quantization ?? { scale: 1, zeroPoint: 0 }
  const start = performance.now()
  const rows: Float32Array[] = []
  for (const paint of pictures) {
    await preprocessor.run(
      frameOf({ data: painted(paint), width: side, height: side }),
      input.pixels.data as Float32Array,
    )
    await run()
    rows.push(Float32Array.from(read(), (value) => scale * (value - zeroPoint)))
    if (performance.now() - start > enoughMs) break
  }
  return rows
}

/** The level of a place's channel. */
type Paint = (x: number, y: number, channel: number) => number

/** Ramps in three directions; a dark scene with a bright disc; a texture without order. */
const pictures: readonly Paint[] = [
  (x, y, channel) => [x * 4, y * 4, 255 - x * 2 - y * 2][channel]!,
  (x, y, channel) => ((x - 32) ** 2 + (y - 28) ** 2 < 300 ? 230 - channel * 40 : 20 + channel * 15),
  (x, y, channel) => (Math.imul(x * 73_856_093 + y * 19_349_663 + channel * 83_492_791, 2_654_435_761) >>> 24) & 255,
]

function painted(paint: Paint): Uint8Array {
  return Uint8Array.from({ length: side * side * 3 }, (_, i) => {
    const place = Math.floor(i / 3)
    return paint(place % side, Math.floor(place / side), i % 3)
  })
}
