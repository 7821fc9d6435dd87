/**
 * The server's half of Modbus TCP, for the functions that gapcam serves: frames (MODBUS Messaging on TCP/IP Implementation Guide
 * V1.0b, 3.1.3) and requests (MODBUS Application Protocol V1.1b3, 6).
 *
 *     transaction 2 | protocol 2, 0 | length 2 | unit 1 | function 1 | data
 */

/** What is served. An address that it does not have gives undefined. */
export interface Tables {
  register(address: number): number | undefined
  coil(address: number): boolean | undefined
  /** Sets coils from an address on. Resolves with the exception to answer with, or null when it is done. */
  setCoils(address: number, values: readonly boolean[]): Promise<Exception | null>
}

/** Exception codes (7). */
export const exceptions = { illegalFunction: 1, illegalAddress: 2, illegalValue: 3, deviceFailure: 4 } as const
export type Exception = (typeof exceptions)[keyof typeof exceptions]

const headBytes = 7
/** Unit and a PDU of 253 bytes. */
const mostLength = 254

/** The length of the first whole frame; null where more bytes are needed. Throws for bytes that begin no frame. */
export function frameLength(bytes: Buffer): number | null {
  if (bytes.length < 6) return null
  const [protocol, length] = [bytes.readUInt16BE(2), bytes.readUInt16BE(4)]
  if (protocol !== 0 || length < 2 || length > mostLength) throw new Error('this is not Modbus TCP')
  return bytes.length < 6 + length ? null : 6 + length
}

/** Answers a whole frame. Rejects only where `tables` does. */
export async function answer(frame: Buffer, tables: Tables): Promise<Buffer> {
  const pdu = frame.subarray(headBytes)
  const outcome = await perform(pdu, tables)
  const body =
    typeof outcome === 'number' ? Buffer.of(pdu[0]! | 0x80, outcome) : Buffer.concat([pdu.subarray(0, 1), outcome])
  const head = Buffer.from(frame.subarray(0, headBytes))
  head.writeUInt16BE(body.length + 1, 4)
  return Buffer.concat([head, body])
}

/** The data of the answer after its function code, or an exception. */
function perform(pdu: Buffer, tables: Tables): Promise<Buffer | Exception> | Buffer | Exception {
  switch (pdu[0]) {
    case 1: // Read Coils
    case 2: // Read Discrete Inputs
      return readBits(pdu, tables)
    case 3: // Read Holding Registers
    case 4: // Read Input Registers
      return readRegisters(pdu, tables)
    case 5:
      return writeCoil(pdu, tables)
    case 15:
      return writeCoils(pdu, tables)
    default:
      return exceptions.illegalFunction
  }
}

function readBits(pdu: Buffer, { coil }: Tables): Buffer | Exception {
  const range = rangeOf(pdu, 2000)
  if (!range) return exceptions.illegalValue
  const bytes = Buffer.alloc(1 + Math.ceil(range.count / 8))
  bytes[0] = bytes.length - 1
  for (let i = 0; i < range.count; i++) {
    const value = coil(range.address + i)
    if (value === undefined) return exceptions.illegalAddress
    if (value) bytes[1 + (i >> 3)]! |= 1 << (i & 7)
  }
  return bytes
}

function readRegisters(pdu: Buffer, { register }: Tables): Buffer | Exception {
  const range = rangeOf(pdu, 125)
  if (!range) return exceptions.illegalValue
  const bytes = Buffer.alloc(1 + 2 * range.count)
  bytes[0] = bytes.length - 1
  for (let i = 0; i < range.count; i++) {
    const value = register(range.address + i)
    if (value === undefined) return exceptions.illegalAddress
    bytes.writeUInt16BE(value, 1 + 2 * i)
  }
  return bytes
}

async function writeCoil(pdu: Buffer, { setCoils }: Tables): Promise<Buffer | Exception> {
  if (pdu.length !== 5) return exceptions.illegalValue
  const value = pdu.readUInt16BE(3)
  if (value !== 0xff00 && value !== 0) return exceptions.illegalValue
  return (await setCoils(pdu.readUInt16BE(1), [value !== 0])) ?? Buffer.from(pdu.subarray(1, 5))
}

async function writeCoils(pdu: Buffer, { setCoils }: Tables): Promise<Buffer | Exception> {
  const range = rangeOf(pdu, 0x7b0)
  const bytes = Math.ceil((range?.count ?? 0) / 8)
  if (!range || pdu.length !== 6 + bytes || pdu[5] !== bytes) return exceptions.illegalValue
  const values = Array.from({ length: range.count }, (_, i) => ((pdu[6 + (i >> 3)]! >> (i & 7)) & 1) === 1)
  return (await setCoils(range.address, values)) ?? Buffer.from(pdu.subarray(1, 5))
}

/** Address and count of a request; null where they are not there or too many are asked for. */
function rangeOf(pdu: Buffer, most: number): { readonly address: number; readonly count: number } | null {
  if (pdu.length < 5) return null
  const [address, count] = [pdu.readUInt16BE(1), pdu.readUInt16BE(3)]
  return count >= 1 && count <= most ? { address, count } : null
}
