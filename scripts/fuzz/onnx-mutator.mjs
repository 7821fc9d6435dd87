// Mutates ONNX files along their structure: it drops, doubles, moves, cuts or changes a field and rewrites the lengths
// around it, so most mutations get past the parser.

/** The fields that are messages, by message (onnx.proto). */
const messages = {
  model: { 7: 'graph', 8: 'opset' },
  opset: {},
  graph: { 1: 'node', 5: 'tensor', 11: 'value', 12: 'value', 13: 'value' },
  node: { 5: 'attribute' },
  attribute: { 5: 'tensor', 6: 'graph' },
  tensor: {},
  value: { 2: 'type' },
  type: { 1: 'tensorType' },
  tensorType: { 2: 'shape' },
  shape: { 1: 'dimension' },
  dimension: {},
}

/** A seeded generator of 32-bit numbers (mulberry32). */
export function randomOf(seed) {
  let state = seed >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

function readVarint(bytes, at) {
  let value = 0n
  for (let i = 0; i < 10; i++) {
    const byte = bytes[at + i]
    if (byte === undefined) throw new Error('cut')
    value |= BigInt(byte & 127) << BigInt(7 * i)
    if (byte < 128) return { value, next: at + i + 1 }
  }
  throw new Error('too long')
}

function writeVarint(value, out) {
  let rest = BigInt.asUintN(64, value)
  while (rest > 127n) {
    out.push(Number(rest & 127n) | 128)
    rest >>= 7n
  }
  out.push(Number(rest))
}

/** Fields as { number, wire, value }: a bigint, bytes, or the fields of a message. */
function parse(bytes, kind) {
  const fields = []
  for (let at = 0; at < bytes.length; ) {
    const key = readVarint(bytes, at)
    const number = Number(key.value >> 3n)
    const wire = Number(key.value & 7n)
    at = key.next
    if (wire === 0) {
      const { value, next } = readVarint(bytes, at)
      fields.push({ number, wire, value })
      at = next
    } else {
      const length = wire === 2 ? readVarint(bytes, at) : { value: wire === 1 ? 8n : 4n, next: at }
      const end = length.next + Number(length.value)
      const body = bytes.subarray(length.next, end)
      const inner = wire === 2 ? messages[kind][number] : undefined
      fields.push({ number, wire, value: inner ? parse(body, inner) : body })
      at = end
    }
  }
  return fields
}

function encode(fields) {
  const parts = []
  for (const { number, wire, value } of fields) {
    const head = []
    writeVarint((BigInt(number) << 3n) | BigInt(wire), head)
    if (wire === 0) writeVarint(value, head)
    const body = wire === 0 ? null : Array.isArray(value) ? encode(value) : value
    if (wire === 2) writeVarint(BigInt(body.length), head)
    parts.push(Buffer.from(head))
    if (body) parts.push(body)
  }
  return Buffer.concat(parts)
}

/** Every field with the list that holds it. Weight data counts as one field. */
function everyField(fields, into = []) {
  for (const field of fields) {
    into.push({ field, list: fields })
    if (Array.isArray(field.value)) everyField(field.value, into)
  }
  return into
}

const numbers = [
  0n,
  1n,
  2n,
  3n,
  4n,
  5n,
  7n,
  8n,
  10n,
  16n,
  224n,
  1000n,
  65536n,
  2n ** 31n - 1n,
  2n ** 31n,
  2n ** 32n,
  2n ** 53n,
  2n ** 63n - 1n,
  -1n,
  -2n,
  -(2n ** 63n),
]

function change(all, random) {
  const { field, list } = all[random(all.length)]
  const other = all[random(all.length)].field
  const at = list.indexOf(field)
  if (at < 0) return
  switch (random(8)) {
    case 0:
      list.splice(at, 1)
      return
    case 1:
      list.splice(random(list.length), 0, field)
      return
    case 2:
      list.splice(at, 1, list[random(list.length)])
      return
    case 3:
      field.number = 1 + random(26)
      return
    default:
      if (field.wire === 0)
        field.value = random(3) === 0 ? field.value + (random(2) ? 1n : -1n) : numbers[random(numbers.length)]
      else if (Array.isArray(field.value)) field.value = field.value.slice(0, random(field.value.length + 1))
      else field.value = changeBytes(field.value, other, random)
  }
}

function changeBytes(bytes, other, random) {
  if (random(3) === 0 && other.value instanceof Uint8Array && other.value.length < 256) return other.value
  if (random(3) === 0) return bytes.subarray(0, random(bytes.length + 1))
  const copy = Uint8Array.from(bytes)
  for (let i = 0; i < 1 + random(4); i++)
    if (copy.length > 0) copy[random(copy.length)] = [0, 1, 127, 128, 255, random(256)][random(6)]
  return copy
}

/** A mutated copy of an ONNX file, determined by the seed. */
export function mutate(bytes, seed) {
  const random = randomOf(seed)
  const fields = parse(bytes, 'model')
  for (let changes = 1 + random(3); changes > 0; changes--) change(everyField(fields), random)
  const changed = encode(fields)
  if (random(5) === 0)
    for (let i = 0; i < 1 + random(3); i++) if (changed.length > 0) changed[random(changed.length)] = random(256)
  return random(20) === 0 ? changed.subarray(0, random(changed.length + 1)) : changed
}
