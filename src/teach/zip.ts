/** Writes a zip archive without compression: pictures do not become smaller. APPNOTE.TXT 4.3. */
import { crc32 } from '../crc32.js'

/** A file of an archive. */
export interface ZippedFile {
  /** With `/` between folders. */
  readonly name: string
  readonly bytes: Uint8Array
}

const version = 20
/** The name is UTF-8. */
const utf8Flag = 0x800
/** 1 January 1980, the first day of the format: equal files make equal archives. */
const firstDay = 0x21

/** The bytes of an archive of less than 4 GiB and 65,536 files. */
export function zipOf(files: readonly ZippedFile[]): Buffer {
  const parts: Buffer[] = []
  const directory: Buffer[] = []
  let at = 0
  for (const { name, bytes } of files) {
    const path = Buffer.from(name)
    const fields = Buffer.alloc(26)
    fields.writeUInt16LE(version, 0)
    fields.writeUInt16LE(utf8Flag, 2)
    fields.writeUInt16LE(firstDay, 8)
    fields.writeUInt32LE(crc32(bytes), 10)
    fields.writeUInt32LE(bytes.length, 14)
    fields.writeUInt32LE(bytes.length, 18)
    fields.writeUInt16LE(path.length, 22)
    parts.push(Buffer.from('PK\x03\x04', 'latin1'), fields, path, Buffer.from(bytes))
    const entry = Buffer.alloc(16)
    entry.writeUInt32LE(at, 12)
    directory.push(Buffer.from('PK\x01\x02\x14\x00', 'latin1'), fields, entry.subarray(2), path)
    at += 4 + fields.length + path.length + bytes.length
  }
  const size = directory.reduce((sum, { length }) => sum + length, 0)
  const end = Buffer.alloc(22)
  end.write('PK\x05\x06', 'latin1')
  end.writeUInt16LE(files.length, 8)
  end.writeUInt16LE(files.length, 10)
  end.writeUInt32LE(size, 12)
  end.writeUInt32LE(at, 16)
  return Buffer.concat([...parts, ...directory, end])
}
