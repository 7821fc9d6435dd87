/** Tries a head, as its file has it, on vectors that are at hand: what it calls each picture, and how sure it is. */
import { noveltyCause } from '../decision/novelty.js'
import { unknownLabel } from '../decision/decision.js'
import { openEngine } from '../engine/select.js'
import { GapcamError } from '../errors.js'
import { partLength, partStart, type Part } from './features.js'
import { partName, valueNames } from './graph.js'
import { readHead } from './head-file.js'
import type { Seen } from './looks.js'

/** What a head says of a picture: a state, or `unknown` for one that is like none of them. */
export interface Trial {
  readonly label: string
  /** Of the best state. */
  readonly score: number
}

/** Rejects with HEAD_INVALID for a head of another network, and for one whose scores are no numbers. */
export async function tryHead(
  file: string,
  parts: readonly Part[],
  pictures: readonly Seen[],
): Promise<readonly Trial[]> {
  const { model, head } = await readHead(file, parts)
  const engine = await openEngine(model, 'auto', { threads: 1 })
  try {
    const tensor = (name: string): Float32Array =>
      [...engine.inputs, ...engine.outputs].find((each) => each.name === name)!.data as Float32Array
    const inputs = parts.map((_, i) => tensor(partName(i)))
    const [sight, logits, novelty] = [valueNames.sight, valueNames.logits, valueNames.novelty].map(tensor) as [
      Float32Array,
      Float32Array,
      Float32Array,
    ]
    const trials: Trial[] = []
    for (const seen of pictures) {
      inputs.forEach((input, i) => {
        const start = partStart(parts, i)
        input.set(seen.raw.subarray(start, start + partLength(parts[i]!)))
      })
      sight.set(seen.sight)
      await engine.run()
      if (![...logits, ...novelty].every(Number.isFinite))
        throw new GapcamError('HEAD_INVALID', `${file}: its scores of a taught picture are no numbers`)
      const best = logits.indexOf(Math.max(...logits))
      const score = 1 / logits.reduce((sum, logit) => sum + Math.exp(logit - logits[best]!), 0)
      const isNovel = head.limits && noveltyCause(novelty[0]!, novelty.subarray(1), head.limits) !== null
      trials.push({ label: isNovel ? unknownLabel : head.states[best]!, score })
    }
    return trials
  } finally {
    await engine.close()
  }
}
