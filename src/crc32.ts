/** The checksum of outbox segments and zip archives. */

const crcTable = Uint32Array.from({ length: 256 }, (_, n) => {
  for (let bit = 0; bit < 8; bit++) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1
  return n >>> 0
})

/** CRC-32 (IEEE 802.3). zlib.crc32 needs Node 20.15. */
export function crc32(data: Uint8Array, seed = 0): number {
  let crc = ~seed
  for (let i = 0; i < data.length; i++) crc = crcTable[(crc ^ data[i]!) & 0xff]! ^ (crc >>> 8)
  return ~crc >>> 0
}
