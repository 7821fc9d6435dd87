/**
 * External data: weights in files beside the model. A location must be a plain name in the model's own folder that
 * leads to a regular file there, not through a link; offset and length must lie inside the file.
 */
import { lstatSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { GapcamError, messageOf } from '../../errors.js'
import type { ExternalReader } from './tensor.js'

export interface ExternalFile {
  readonly location: string
  readonly bytes: Uint8Array
}

/** A reader of one model's external data. Each file is read once; `files` lists them in order of first use. */
export function openExternal(folder: string): {
  readonly read: ExternalReader
  readonly files: readonly ExternalFile[]
} {
  const files: ExternalFile[] = []
  const read: ExternalReader = (location, offset, length) => {
    let file = files.find((known) => known.location === location)
    if (!file) {
      file = { location, bytes: readExternalFile(folder, location) }
      files.push(file)
    }
    const end = offset + (length ?? file.bytes.length - offset)
    if (offset > file.bytes.length || end > file.bytes.length) {
      throw new GapcamError(
        'MODEL_INVALID',
        `its external data ${location} has ${file.bytes.length} bytes, but a tensor claims ${offset} to ${end}`,
      )
    }
    return file.bytes.subarray(offset, end)
  }
  return { read, files }
}

function readExternalFile(folder: string, location: string): Uint8Array {
  if (location === '' || location === '.' || location === '..' || /[/\\\0]/.test(location)) {
    throw new GapcamError(
      'MODEL_INVALID',
      `its external data ${JSON.stringify(location)} is not a plain name in the model's folder`,
    )
  }
  const path = join(folder, location)
  try {
    if (!lstatSync(path).isFile())
      throw new GapcamError(
        'MODEL_INVALID',
        `its external data ${location} is not a regular file (a link is not followed)`,
      )
    return readFileSync(path)
  } catch (error) {
    if (error instanceof GapcamError) throw error
    const isMissing = (error as NodeJS.ErrnoException).code === 'ENOENT'
    throw new GapcamError(
      'MODEL_INVALID',
      isMissing
        ? `its external data ${location} is missing beside it`
        : `its external data ${location} cannot be read: ${messageOf(error)}`,
    )
  }
}
