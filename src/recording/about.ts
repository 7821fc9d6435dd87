/** What a recording says about the machine, the model and the zone that made it. */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { isAbsolute, relative } from 'node:path'
import type { Classifier } from '../classifier.js'
import { tuningFile } from '../engine/tuning.js'
import { createPreprocessor } from '../pixels/preprocess.js'
import type { PreprocessSpec } from '../pixels/spec.js'
import type { About } from './format.js'

export interface AboutOptions {
  readonly classifier: Classifier
  readonly version: string
  readonly node: string
  readonly camera: string
  readonly topK: number
}

/** Describes what computes now. Compare it with a recording's to know whether every bit must be the same. */
export function aboutOf(
  { classifier, version, node, camera, topK }: AboutOptions,
  spec: PreprocessSpec,
): Omit<About, 'reason' | 'startedMs'> {
  // The code is the engine's, not the camera's: another one may take the values in another form.
  const { code: _, ...values } = spec
  const { engine, target, threads } = classifier.engine.describe()
  const { modelId: id, sha256, path, labels } = classifier
  return {
    version,
    node,
    platform: `${process.platform}-${process.arch}`,
    camera,
    model: { id, sha256, file: shortened(path), classes: labels.length },
    engine,
    target,
    threads,
    pixelPath: pixelPath(spec),
    tuning: tuningDigest(path),
    spec: {
      ...values,
      mean: [...spec.mean],
      std: [...spec.std],
      ...(spec.fill ? { fill: [...spec.fill] } : {}),
    } as About['spec'],
    topK,
  }
}

/** Recordings are passed on, so they hold no more of this machine's folder names than needed. */
function shortened(path: string): string {
  const from = relative(process.cwd(), path)
  return isAbsolute(path) || from.startsWith('..') ? path.split('/').at(-1)! : from
}

function pixelPath(spec: PreprocessSpec): string {
  const pass = createPreprocessor(spec)
  pass.close()
  return pass.path
}

function tuningDigest(model: string): string | null {
  try {
    return createHash('sha256')
      .update(readFileSync(tuningFile(model)))
      .digest('hex')
  } catch {
    return null
  }
}
