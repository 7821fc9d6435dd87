/** The cameras of a configuration, opened as `gapcam run` would, and at which size their pictures are decoded. */
import { openClassifier } from '../classifier.js'
import { modelOptions } from '../config/model.js'
import type { Config } from '../config/schema.js'
import { createLogger } from '../log.js'
import { decodedSizes } from '../run/cameras/decoded-sizes.js'
import { sizesInWords, type DecodedSize } from '../run/cameras/decoded-size.js'
import { configFrom, type FlagValues } from './flags.js'
import { writeJson } from './output.js'
import { untilSignal } from './signals.js'

/** The configuration that the flags name. Throws CONFIG_INVALID. */
export function readConfig(values: FlagValues): Config {
  return configFrom(values).config
}

/** Longest wait for the first picture of every camera. */
const pictureMs = 15_000

/** The configured cameras, and at which size their pictures are decoded. */
export async function writeConfigured(config: Config, isJson: boolean): Promise<void> {
  const log = createLogger('warn')
  const classifier = await openClassifier({ ...modelOptions(config), heat: config.heat })
  try {
    await untilSignal(async ({ signal }) => {
      const parts = { config, cameras: config.cameras, classifier, log }
      const sizes = await decodedSizes(parts, { signal, withinMs: pictureMs })
      for (const { id } of config.cameras) writeSizes(id, sizes.get(id) ?? null, isJson)
    })
  } finally {
    await classifier.close()
  }
}

function writeSizes(camera: string, size: DecodedSize | null, isJson: boolean): void {
  if (isJson)
    return writeJson({
      camera,
      full: size?.full ?? null,
      decoded: size?.decoded ?? null,
      bySource: size?.isReducedBySource ?? false,
    })
  process.stdout.write(`${camera}  ${size === null ? 'gave no picture' : sizesInWords(size)}\n`)
}
