// Decodes A64 instruction words as far as the counts need. Field names and positions are those of the Arm Architecture
// Reference Manual (C4.1, "A64 instruction set encoding").

const field = (word, high, low) => (word >>> low) & ((1 << (high - low + 1)) - 1)
const bit = (word, at) => (word >>> at) & 1

/** Whether a word is an FMLA on single-precision vectors, by a vector or by one element of a vector. */
export function isFmla(word) {
  return (word & 0xbfa0fc00) >>> 0 === 0x0e20cc00 || (word & 0xbf80f400) >>> 0 === 0x0f801000
}

/** Whether a word computes in the vector registers: scalar floating point, SIMD and their moves, not loads and stores. */
export const isVector = (word) => field(word, 27, 25) === 7

/** The bytes that an instruction reads and writes. An atomic operation counts as a load, a prefetch as nothing. */
export function moved(word) {
  if (!(bit(word, 27) === 1 && bit(word, 25) === 0)) return nothing
  const { bytes, isLoad } = kinds[field(word, 29, 28)](word, {
    size: field(word, 31, 30),
    isVector: bit(word, 26) === 1,
  })
  return isLoad ? { loaded: bytes, stored: 0 } : { loaded: 0, stored: bytes }
}

const nothing = { loaded: 0, stored: 0 }

// The kinds of loads and stores, by bits 29 and 28.
const kinds = [exclusiveOrStructure, literalOrOrdered, pair, single]

function exclusiveOrStructure(word, { size, isVector }) {
  const isLoad = bit(word, 22) === 1
  if (isVector) return { bytes: bit(word, 24) ? lanes(word) : wholeStructures(word), isLoad }
  const isPair = bit(word, 21) === 1 && bit(word, 23) === 0
  return { bytes: (1 << size) * (isPair ? 2 : 1), isLoad }
}

/** Bytes of LD1 to LD4 and their stores with whole registers. The opcode gives the number of registers. */
function wholeStructures(word) {
  const registers = { 0: 4, 2: 4, 4: 3, 6: 3, 7: 1, 8: 2, 10: 2 }[field(word, 15, 12)] ?? 0
  return registers * (bit(word, 30) ? 16 : 8)
}

/** Bytes of a structure load or store of one lane, or of one value for all lanes, in one to four registers. */
function lanes(word) {
  const opcode = field(word, 15, 13)
  const registers = ((opcode & 1) << 1) + bit(word, 21) + 1
  const scale = opcode >> 1
  const element = scale === 3 ? 1 << field(word, 11, 10) : scale === 2 && field(word, 11, 10) === 1 ? 8 : 1 << scale
  return registers * element
}

function literalOrOrdered(word, { size, isVector }) {
  if (bit(word, 24)) return { bytes: 1 << size, isLoad: field(word, 23, 22) !== 0 }
  if (isVector) return { bytes: 4 << size, isLoad: true }
  return { bytes: [4, 8, 4, 0][size], isLoad: true }
}

function pair(word, { size, isVector }) {
  return { bytes: isVector ? 8 << size : size === 2 ? 16 : 8, isLoad: bit(word, 22) === 1 }
}

function single(word, { size, isVector }) {
  const opc = field(word, 23, 22)
  if (isVector) return { bytes: opc >= 2 ? 16 : 1 << size, isLoad: (opc & 1) === 1 }
  if (size === 3 && opc === 2) return { bytes: 0, isLoad: true }
  const isAtomic = bit(word, 24) === 0 && bit(word, 21) === 1 && field(word, 11, 10) === 0
  return { bytes: 1 << size, isLoad: isAtomic || opc !== 0 }
}
