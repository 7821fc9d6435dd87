/**
 * Memory of a program that runs for months on a board with little of it. Both settings are the whole process's, so only the
 * program makes them, never the library.
 */
import { setFlagsFromString } from 'node:v8'
import { loadAddon } from '../addon.js'

/**
 * Keeps the heaps of V8 and of the C library small. Call it before anything large is loaded.
 *
 * V8 doubles its space for new objects to 2 × 16 MiB while a program starts, and never gives it back in a program that is
 * never idle. A frame makes few objects: with 2 × 1 MiB, opening a model takes as long.
 */
export function keepHeapSmall(): void {
  setFlagsFromString('--semi-space-growth-factor=1')
  const loaded = loadAddon()
  if ('addon' in loaded) loaded.addon.keepHeapSmall()
}

/** Returns what opening left free to the system. */
export function releaseFreeMemory(): void {
  const loaded = loadAddon()
  if ('addon' in loaded) loaded.addon.releaseFreeMemory()
}
