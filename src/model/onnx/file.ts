/**
 * A file's bytes for a reader that takes views of them: mapped where the addon is there, so that a large model is in
 * memory only while its weights are packed; else read whole.
 */
import { readFile } from 'node:fs/promises'
import { loadAddon } from '../../addon.js'

/** Rejects with Node's own error where the file cannot be read. */
export async function readBytes(path: string): Promise<Uint8Array> {
  const loaded = loadAddon()
  if ('addon' in loaded) {
    try {
      return loaded.addon.mapFile(path)
    } catch {
      // Read below: an empty file cannot be mapped, and Node's error says what is wrong with any other.
    }
  }
  return readFile(path)
}
