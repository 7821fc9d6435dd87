/**
 * Memory of a program that runs for months on a board with little of it. Both settings are the whole process's, so only the
 * program makes them, never the library.
 */
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { loadAddon } from '../addon.js'

/**
 * Keeps the heaps of V8 and of the C library small. Call it before anything large is loaded.
 *
 * V8 doubles its space for new objects to 2 × 16 MiB while a program starts, and never gives it back in a program that is
 * never idle. A frame makes few objects: with 2 × 1 MiB, opening a model takes as long. For the same reason its space for
 * old objects grows by a fifth of what lives there, not to twice and more, before it is collected: 7 MB less with page and
 * broker.
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
  setFlagsFromString('--heap-growing-percent=20')
  const loaded = loadAddon()
  if ('addon' in loaded) loaded.addon.keepHeapSmall()
}

/** How often free pages return to the system. It takes 1 to 2 ms. */
const everyMs = 60_000

/**
 * Drops what opening a node has left, and from then on returns free pages to the system once a minute. Call it before the
 * first frame: it collects garbage. Returns a function that ends it.
 *
 * Measured with EfficientNet-Lite0, page and embedded broker: 8 MB of garbage and 6 MB of free pages.
 */
export function releaseMemory(): () => void {
  setFlagsFromString('--expose-gc')
  const collect = runInNewContext('gc') as () => void
  collect()
  const loaded = loadAddon()
  const release = (): void => ('addon' in loaded ? loaded.addon.releaseFreeMemory() : undefined)
  release()
  const timer = setInterval(release, everyMs)
  // What the first pictures needed goes sooner.
  const soon = setTimeout(release, everyMs / 12)
  for (const each of [timer, soon]) each.unref()
  return () => {
    clearInterval(timer)
    clearTimeout(soon)
  }
}
