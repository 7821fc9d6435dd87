// Mutates TFLite files and zip archives: offsets, sizes and numbers are overwritten, since almost every word of a FlatBuffer's
// structure and of an archive's headers is one, and the file is cut. A third of the changes hit the first 4 KB, where a FlatBuffer
// has its structure, a third the last one, where an archive has its directory.
import { randomOf } from './onnx-mutator.mjs'

const telling = [0, 1, 2, 3, 4, 7, 8, 0x7f, 0xff, 0x7fff, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffffc]

/** A changed copy of a file; the same seed makes the same changes. */
export function mutateWords(bytes, seed) {
  const below = randomOf(seed)
  const changed = Buffer.from(bytes)
  const count = 1 + below(4)
  for (let i = 0; i < count; i++) change(changed, below)
  return below(12) === 0 ? changed.subarray(0, below(changed.length)) : changed
}

function change(bytes, below) {
  const length = Math.min(bytes.length, below(3) === 0 ? bytes.length : 4096)
  if (length < 8) return
  const at = below(length - 4) + (below(2) === 0 ? 0 : bytes.length - length)
  const word = at & ~3
  switch (below(6)) {
    case 0:
      bytes[at] ^= 1 << below(8)
      break
    case 1:
      bytes[at] = below(256)
      break
    case 2:
      bytes.writeUInt32LE(telling[below(telling.length)], word)
      break
    case 3: // a little more or less: a neighbour's offset, one element too many
      bytes.writeUInt32LE((bytes.readUInt32LE(word) + below(17) - 8) >>> 0, word)
      break
    case 4:
      bytes.writeUInt16LE(telling[below(11)], at & ~1)
      break
    default: // another word of the file
      bytes.writeUInt32LE(bytes.readUInt32LE(below(length - 4) & ~3), word)
  }
}
