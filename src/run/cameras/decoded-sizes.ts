/** Opens cameras as a node would, for as long as it takes to see at which size their pictures are decoded. */
import { stateDirectory } from '../../config/state-directory.js'
import { createPublisher } from '../../publish/publisher.js'
import type { DecodedSize } from './decoded-size.js'
import { run } from '../runtime.js'
import { openSettings } from '../commands/settings.js'

/**
 * The sizes by camera, with the zones of the configuration and those that commands set. A camera that gives no picture
 * within `withinMs` is left out; `log` says why. Rejects as `run` does where no camera can be opened.
 */
export async function decodedSizes(
  { config, cameras, classifier, log }: Omit<Parameters<typeof run>[0], 'publisher'>,
  { signal, withinMs }: { readonly signal: AbortSignal; readonly withinMs: number },
): Promise<ReadonlyMap<string, DecodedSize>> {
  const sizes = new Map<string, DecodedSize>()
  const done = new AbortController()
  const ids = cameras.map(({ id }) => id)
  const [publisher, settings] = [
    createPublisher({ broker: null, node: config.node, cameras: ids, log }),
    openSettings({ config, cameras, folder: stateDirectory(config), log }),
  ]
  const onDecoded = (camera: string, size: DecodedSize): void => {
    sizes.set(camera, size)
    if (sizes.size === cameras.length) done.abort()
  }
  try {
    await run(
      { config: { ...config, frames: 0 }, cameras, classifier, publisher, settings, log, onDecoded },
      AbortSignal.any([signal, done.signal, AbortSignal.timeout(withinMs)]),
    )
  } finally {
    await settings.close()
    await publisher.close()
  }
  return sizes
}
