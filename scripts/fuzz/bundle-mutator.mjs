// Changes bundles along their structure: bits, cuts, fields of tar headers with a right checksum, entries, and the manifest.
import { randomOf } from './onnx-mutator.mjs'

const block = 512
/** Fields of a tar header: offset and length. */
const fields = { name: [0, 100], mode: [100, 8], size: [124, 12], type: [156, 1], link: [157, 100], prefix: [345, 155] }
const names = [
  '../outside',
  '/etc/gapcam-outside',
  'a/b/c',
  '.hidden',
  'manifest.json',
  'signatures.json',
  '',
  'a\\b',
  'état',
]
const sizes = [
  '00000000000',
  '77777777777',
  '00000000001',
  '7777777777x',
  '-0000000001',
  '\x80\0\0\0\0\0\0\x17\x48\x76\xe8',
]
const types = ['0', '1', '2', '3', '4', '5', '6', '7', 'g', 'x', 'L', 'K', 'S', '\0', 'Z']
const telling = [
  null,
  '',
  -1,
  0,
  1,
  1e300,
  2 ** 31 + 1,
  100e9,
  [],
  {},
  true,
  'x'.repeat(300),
  '../x',
  '/etc/passwd',
  'NaN',
]

/** A changed copy of a bundle; the same seed makes the same changes. */
export function mutateBundle(bytes, seed) {
  const below = randomOf(seed)
  const pick = (list) => list[below(list.length)]
  switch (below(6)) {
    case 0:
      return flipped(bytes, below, bytes.length)
    case 1:
      return flipped(bytes, below, Math.min(bytes.length, 6000))
    case 2:
      return bytes.subarray(0, below(3) === 0 ? block * below(bytes.length / block) : below(bytes.length))
    case 3:
      return Buffer.concat(withHeader(entriesOf(bytes), below, pick))
    case 4:
      return Buffer.concat(withEntries(entriesOf(bytes), below, pick))
    default:
      return Buffer.concat(withManifest(entriesOf(bytes), below, pick))
  }
}

function flipped(bytes, below, length) {
  const changed = Buffer.from(bytes)
  for (let i = 0; i <= below(3); i++) changed[below(length)] ^= 1 << below(8)
  return changed
}

/** The entries of a tar, each with its header and padding; the last one is the end. */
function entriesOf(bytes) {
  const entries = []
  let at = 0
  while (bytes[at] !== 0 && at < bytes.length) {
    const size = Number.parseInt(bytes.toString('latin1', at + fields.size[0], at + 136), 8)
    const end = at + block + Math.ceil(size / block) * block
    entries.push(Buffer.from(bytes.subarray(at, end)))
    at = end
  }
  return [...entries, Buffer.from(bytes.subarray(at))]
}

function put(entry, field, text) {
  const [offset, length] = fields[field]
  entry.fill(0, offset, offset + length)
  entry.write(text.slice(0, length), offset, 'latin1')
  entry.fill(' ', 148, 156)
  const sum = entry.subarray(0, block).reduce((total, byte) => total + byte, 0)
  entry.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1')
  return entry
}

function withHeader(entries, below, pick) {
  const entry = entries[below(entries.length - 1)]
  const change = pick([
    ['name', pick(names)],
    ['prefix', pick(names)],
    ['size', pick(sizes)],
    ['type', pick(types)],
    ['link', pick(names)],
  ])
  put(entry, ...change)
  if (change[0] === 'link') put(entry, 'type', pick(['1', '2']))
  return entries
}

function withEntries(entries, below, pick) {
  const [i, j] = [below(entries.length - 1), below(entries.length - 1)]
  const link = put(Buffer.from(entries[i].subarray(0, block)), 'size', sizes[0])
  const choices = [
    () => entries.splice(i, 1),
    () => entries.splice(j, 0, entries[i]),
    () => ([entries[i], entries[j]] = [entries[j], entries[i]]),
    () =>
      entries.splice(j, 0, put(put(put(link, 'name', 'link'), 'type', pick(['1', '2', '5'])), 'link', '/etc/passwd')),
    // A link in the place of a file that comes later.
    () => entries.splice(i, 0, put(put(link, 'type', '2'), 'link', '/etc/passwd')),
    () => entries.splice(-1, 1),
  ]
  pick(choices)()
  return entries
}

/** Other values in the manifest; the files stay. */
function withManifest([first, ...rest], below, pick) {
  const size = Number.parseInt(first.toString('latin1', fields.size[0], 136), 8)
  const manifest = JSON.parse(first.toString('utf8', block, block + size))
  for (let i = 0; i <= below(2); i++) changeValue(manifest, below, pick)
  const text = Buffer.from(`${JSON.stringify(manifest)}\n`)
  const body = Buffer.alloc(Math.ceil(text.length / block) * block)
  text.copy(body)
  const header = put(Buffer.from(first.subarray(0, block)), 'size', text.length.toString(8).padStart(11, '0'))
  // Mostly without signatures, so that more than the signature is asked.
  return [header, body, ...(below(4) === 0 ? rest : rest.slice(1))]
}

function changeValue(node, below, pick) {
  const keys = Object.keys(node)
  const key = pick(keys)
  if (key === undefined) return
  const value = node[key]
  if (typeof value === 'object' && value !== null && below(4) !== 0) return changeValue(value, below, pick)
  switch (below(5)) {
    case 0:
      delete node[key]
      break
    case 1:
      node[`${key}_`] = value
      break
    case 2:
      if (Array.isArray(value)) value.push(...value)
      else if (typeof value === 'number') node[key] = value * pick([0.5, 2, -1])
      else node[key] = `${value}1`
      break
    default:
      node[key] = pick([...telling, ...names])
  }
}
