/**
 * Loads sharp, which decodes and encodes pictures, at the first use: its native library is a large part of the start-up
 * time of a short command. sharp's cache is off and it works on one thread, so memory stays flat in a long run.
 */
import type sharp from 'sharp'

let loading: Promise<typeof sharp> | undefined

/** sharp, loaded once. */
export function loadSharp(): Promise<typeof sharp> {
  return (loading ??= load())
}

async function load(): Promise<typeof sharp> {
  const { default: loaded } = await import('sharp')
  loaded.cache(false)
  loaded.concurrency(1)
  return loaded
}
