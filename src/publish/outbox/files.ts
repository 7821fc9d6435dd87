/**
 * What the outbox asks of a file system, one call each, so that a test can take a disk's place and cut the power
 * between any two of them. A call that returns has done all of its work; one that rejects may have done a part.
 */
import { mkdir, open, readdir, stat, unlink, type FileHandle } from 'node:fs/promises'

export interface OutboxFile {
  /** Writes all of it at this place. */
  write(data: Uint8Array, position: number): Promise<void>
  /** Returns when the device has the bytes and the length. */
  sync(): Promise<void>
  close(): Promise<void>
}

export interface OutboxFiles {
  makeFolder(folder: string): Promise<void>
  list(folder: string): Promise<string[]>
  /** All bytes from `start` to `end` (default: the file's end), fewer where it is shorter. */
  read(path: string, start?: number, end?: number): Promise<Buffer>
  size(path: string): Promise<number>
  /** A file that is not there yet: rejects with EEXIST. */
  create(path: string): Promise<OutboxFile>
  /** A file to go on with. */
  resume(path: string): Promise<OutboxFile>
  remove(path: string): Promise<void>
  /** Returns when the device has the folder's names. */
  syncFolder(folder: string): Promise<void>
}

export const realFiles: OutboxFiles = {
  makeFolder: async (folder) => {
    await mkdir(folder, { recursive: true, mode: 0o750 })
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
      // A full disk first takes a part, then says so.
      while (at < data.length) {
        const { bytesWritten } = await handle.write(data, at, data.length - at, position + at)
        if (bytesWritten === 0) throw new Error('the file takes no bytes')
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
