/**
 * Reads a file as bytes. With the addon the file is memory-mapped: a large model then occupies memory only while its
 * weights are packed. Without the addon the file is read whole.
 */
import { readFile } from 'node:fs/promises'
import { loadAddon } from '../../addon.js'

/** Resolves with the bytes of the file. Rejects with Node's error if the file cannot be read. */
export async function readBytes(path: string): Promise<Uint8Array> {
  const loaded = loadAddon()
  if ('addon' in loaded) {
    try {
      return loaded.addon.mapFile(path)
    } catch {
      // An empty file cannot be mapped; for any other fault, Node's error below names the cause.
    }
  }
  return readFile(path)
}
