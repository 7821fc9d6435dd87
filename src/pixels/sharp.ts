/**
 * sharp, which decodes and encodes pictures: loaded for the first of them, since its native library is a large part of
 * what a short command would else take. One picture at a time and none remembered: memory of a long run stays flat.
 */
import type sharp from 'sharp'

let loading: Promise<typeof sharp> | undefined

export function loadSharp(): Promise<typeof sharp> {
  return (loading ??= load())
}

async function load(): Promise<typeof sharp> {
  const { default: loaded } = await import('sharp')
  loaded.cache(false)
  loaded.concurrency(1)
  return loaded
}
