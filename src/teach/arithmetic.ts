/**
 * The arithmetic of fitting a head: most of its work. The addon computes it off the main thread (native/teach); where it does not
 * load, `plain.ts` gives the same bits. Every sum has a fixed order, so the same vectors give the same head on every machine.
 */
import { loadAddon } from '../addon.js'
import type { Arithmetic } from '../arithmetic.js'
import { plainArithmetic } from './plain.js'

/** That of the addon where it loads. */
export function arithmetic(): Arithmetic {
  const loaded = loadAddon()
  return 'addon' in loaded ? loaded.addon : plainArithmetic
}
