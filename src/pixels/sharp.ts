/**
 * Loads sharp, which decodes and encodes pictures, at the first use: its native library is a large part of the start-up
 * time of a short command. sharp's cache is off and it works on one thread, so memory stays flat in a long run.
 */
import type sharp from 'sharp'
import { GapcamError, messageOf } from '../errors.js'

let loading: Promise<typeof sharp> | undefined

/** sharp, loaded once. Rejects with PACKAGE_MISSING where npm has left its native library out. */
export function loadSharp(): Promise<typeof sharp> {
  return (loading ??= load())
}

async function load(): Promise<typeof sharp> {
  const { default: loaded } = await import('sharp').catch((error: unknown) => {
    const why = messageOf(error).split('\n')[0]
    throw new GapcamError('PACKAGE_MISSING', `no picture can be read or written: ${why}`, { cause: error })
  })
  loaded.cache(false)
  loaded.concurrency(1)
  return loaded
}
