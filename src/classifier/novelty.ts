/** Reads from a taught model whether a picture is none of the taught states. */
import { noveltyCause, type Novelty } from '../decision/novelty.js'
import type { Engine } from '../engine/engine.js'
import { GapcamError } from '../errors.js'
import type { Manifest } from '../model/metadata/schema.js'

/** Gives the novelty of the engine's last run. */
export type NoveltyReader = () => Novelty

/** The distance, and brightness, contrast and sharpness. */
const outputLength = 4

/** The reader of a model whose manifest has limits; null for other models. Throws MANIFEST_INVALID if its output is missing. */
export function noveltyReader({ novelty }: Manifest, engine: Engine, path: string): NoveltyReader | null {
  if (!novelty) return null
  const output = engine.outputs.find(({ name }) => name === novelty.output)
  if (!(output?.data instanceof Float32Array) || output.data.length !== outputLength)
    throw new GapcamError(
      'MANIFEST_INVALID',
      `model ${path}: novelty names the output ${novelty.output}, which is not ${outputLength} numbers of float32`,
    )
  const [values, sight] = [output.data, output.data.subarray(1)]
  return () => {
    const distance = values[0]!
    return { distance, limit: novelty.distance, cause: noveltyCause(distance, sight, novelty) }
  }
}
