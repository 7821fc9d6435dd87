/**
 * Reads external data: weights in files beside the model. For safety a location must be a relative name without `..` that
 * leads to a regular file in the model's folder or below it, and not through a link. One kind of link is followed: in a
 * cache of Hugging Face, model and weights are both links into one folder `blobs`.
 */
import { lstatSync, readFileSync, realpathSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { GapcamError, messageOf } from '../../errors.js'
import type { ExternalReader } from './tensor.js'

export interface ExternalFile {
  readonly location: string
  readonly bytes: Uint8Array
  /** Reached by a link of a Hugging Face cache. */
  readonly isLinked: boolean
}

/** A reader of one model's external data. Each file is read once; `files` lists them in order of first use. */
export function openExternal(modelPath: string): {
  readonly read: ExternalReader
  readonly files: readonly ExternalFile[]
} {
  const files: ExternalFile[] = []
  const read: ExternalReader = (location, offset, length) => {
    let file = files.find((known) => known.location === location)
    if (!file) {
      file = readExternalFile(modelPath, location)
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

const refused = (location: string, why: string): GapcamError =>
  new GapcamError('MODEL_INVALID', `its external data ${JSON.stringify(location)} is refused for safety: ${why}`, {
    hint: 'Put the weights into the folder of the model, as regular files, and export it with their plain names.',
  })

function readExternalFile(modelPath: string, location: string): ExternalFile {
  const parts = location.replace(/^(\.\/)+/, '').split('/')
  if (/[\\\0]/.test(location) || parts.some((part) => part === '' || part === '.' || part === '..'))
    throw refused(location, "it is not a relative name in the model's folder")
  const path = join(dirname(modelPath), ...parts)
  try {
    const isLinked = hasLink(dirname(modelPath), parts)
    if (isLinked && !isInSameBlobs(modelPath, path)) throw refused(location, 'a link is not followed')
    if (!isLinked && !lstatSync(path).isFile()) throw refused(location, 'it is not a regular file')
    return { location, bytes: readFileSync(path), isLinked }
  } catch (error) {
    if (error instanceof GapcamError) throw error
    const isMissing = ['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')
    throw new GapcamError(
      'MODEL_INVALID',
      isMissing
        ? `its external data ${location} is missing beside it`
        : `its external data ${location} cannot be read: ${messageOf(error)}`,
      { hint: isMissing ? `Copy ${location} into the folder of the model.` : 'Check the permissions of the file.' },
    )
  }
}

/** Whether the file or a folder on the way to it is a link. */
function hasLink(folder: string, parts: readonly string[]): boolean {
  return parts.some((_, i) => lstatSync(join(folder, ...parts.slice(0, i + 1))).isSymbolicLink())
}

/** Whether model and data are both links, and both lead to files of one folder `blobs`. */
function isInSameBlobs(modelPath: string, path: string): boolean {
  if (!lstatSync(modelPath).isSymbolicLink() || !lstatSync(path).isSymbolicLink()) return false
  const target = realpathSync(path)
  const folder = dirname(target)
  return basename(folder) === 'blobs' && dirname(realpathSync(modelPath)) === folder && lstatSync(target).isFile()
}
