/**
 * The file system as the outbox uses it. A test can replace it and cut the power between any two calls. A call that
 * resolves has done all of its work; a call that rejects may have done a part.
 */
import { makeFolder } from '../../folder.js'
import { open, readdir, stat, unlink, type FileHandle } from 'node:fs/promises'

export interface OutboxFile {
  /** Writes all of it at this position. */
  write(data: Uint8Array, position: number): Promise<void>
  /** Resolves when the device has the bytes and the length. */
  sync(): Promise<void>
  close(): Promise<void>
}

export interface OutboxFiles {
  makeFolder(folder: string): Promise<void>
  list(folder: string): Promise<string[]>
  /** The bytes from `start` to `end` (default: all), fewer if the file is shorter. */
  read(path: string, start?: number, end?: number): Promise<Buffer>
  size(path: string): Promise<number>
  /** Makes a file; rejects with EEXIST if there is one. */
  create(path: string): Promise<OutboxFile>
  /** Opens a file for further writing. */
  resume(path: string): Promise<OutboxFile>
  remove(path: string): Promise<void>
  /** Resolves when the device has the folder's names. */
  syncFolder(folder: string): Promise<void>
}

export const realFiles: OutboxFiles = {
  makeFolder: async (folder) => {
    await makeFolder(folder, 0o750)
  },
  list: (folder) => readdir(folder),
  read: (path, start = 0, end = Infinity) =>
    using(open(path, 'r'), async (handle) => {
      const { size } = await handle.stat()
      const data = Buffer.alloc(Math.max(0, Math.min(size, end) - start))
      let at = 0
      while (at < data.length) {
        const { bytesRead } = await handle.read(data, at, data.length - at, start + at)
        if (bytesRead === 0) break
        at += bytesRead
      }
      return data.subarray(0, at)
    }),
  size: async (path) => (await stat(path)).size,
  create: async (path) => fileOf(await open(path, 'wx', 0o640)),
  resume: async (path) => fileOf(await open(path, 'r+')),
  remove: (path) => unlink(path),
  syncFolder: (folder) => using(open(folder, 'r'), (handle) => handle.sync()),
}

function fileOf(handle: FileHandle): OutboxFile {
  return {
    async write(data, position) {
      let at = 0
      // A full disk first takes a part, then reports an error.
      while (at < data.length) {
        const { bytesWritten } = await handle.write(data, at, data.length - at, position + at)
        if (bytesWritten === 0) throw new Error('the file system accepts no bytes')
        at += bytesWritten
      }
    },
    sync: () => handle.datasync(),
    close: () => handle.close(),
  }
}

async function using<T>(opening: Promise<FileHandle>, use: (handle: FileHandle) => Promise<T>): Promise<T> {
  const handle = await opening
  try {
    return await use(handle)
  } finally {
    await handle.close()
  }
}
