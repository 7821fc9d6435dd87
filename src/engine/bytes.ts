/** Which targets compute 8-bit networks in 8 bits, and in which type of byte. */
import { loadAddon } from '../addon.js'
import type { ByteType } from '../model/quantized/code.js'

/** Targets with kernels for bytes, and the type of byte that their instructions multiply. */
const byteTargets: ReadonlyMap<string, ByteType> = new Map([
  ['avx2', 'uint8'],
  ['avxvnni', 'uint8'],
  ['avx512', 'uint8'],
  ['avx512vnni', 'uint8'],
  ['neon', 'int8'],
  ['neondot', 'int8'],
])

/**
 * The type in which a target computes 8-bit networks, or null for float32. `integers` asks for bytes on any target, or for
 * none.
 */
export function bytesFor(target: string, integers: boolean | undefined): ByteType | null {
  if (integers === false) return null
  return byteTargets.get(target) ?? (integers ? 'uint8' : null)
}

/** The same for the target that serves this machine; null where there is no addon. */
export function bytesHere(): ByteType | null {
  const loaded = loadAddon()
  if ('reason' in loaded) return null
  const best = loaded.addon.describeTargets().find(({ supported }) => supported)?.name
  const target = process.env['GAPCAM_TARGET'] ?? best
  return target === undefined ? null : bytesFor(target, undefined)
}
