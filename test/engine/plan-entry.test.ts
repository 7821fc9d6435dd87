import { expect, test } from 'vitest'
import { loadAddon, type Addon } from '../../src/addon.js'
import type { CompiledModel } from '../../src/engine/native.js'
import { partsOfEntry, readEntry, type Entry, type Kept } from '../../src/engine/plan-entry.js'
import { openCompiled } from '../../src/engine/select.js'

const loaded = loadAddon()
if ('reason' in loaded) throw new Error(loaded.reason)
const addon: Addon = loaded.addon

const model = Uint8Array.from({ length: 1000 }, (_, i) => i * 7)
const compiled: CompiledModel = {
  outline: Uint8Array.of(1, 2, 3),
  constants: [
    { offset: 0, bytes: model.subarray(100, 164) },
    { offset: 64, bytes: Uint8Array.of(9, 8, 7) },
    { offset: 128, bytes: model.subarray(996) },
  ],
  tuned: { threads: 3, sentence: 'tuned by x' },
}
const kept: Kept = { compiled, facts: { labels: ['a'] }, table: Uint8Array.of(5) }

function read(parts: readonly Uint8Array[], key = 'k', file = model): Entry {
  return readEntry(addon, key, Uint8Array.from(Buffer.concat(parts)), file, () => {
    throw new Error('there is no other file')
  })
}

/** An entry with another header and right fingerprints, as an attacker would write it. */
function forged(change: (header: Record<string, unknown>) => void, given = kept): readonly Uint8Array[] {
  const [prefix, text, , ...sections] = partsOfEntry(addon, 'k', given, [{ path: 'm', bytes: model }], [])
  const header = JSON.parse(Buffer.from(text!).toString()) as Record<string, unknown>
  change(header)
  const other = Buffer.from(JSON.stringify(header))
  const start = Buffer.from(prefix!)
  start.writeUInt32LE(other.length, 8)
  start.write(addon.fingerprint(other), 16, 'latin1')
  return [start, other, Buffer.alloc((64 - ((48 + other.length) % 64)) % 64), ...sections]
}

test('an entry holds what was kept', () => {
  const entry = read(partsOfEntry(addon, 'k', kept, [{ path: 'm', bytes: model }], [['labels.txt', 'f']]))
  expect(entry).toEqual({ ...kept, beside: [['labels.txt', 'f']] })
})

const inTwo: Kept = {
  ...kept,
  compiled: {
    ...compiled,
    split: {
      outputs: ['boxes', 'map'],
      why: 'TopK not covered',
      partition: {
        boundary: ['map'],
        tail: {
          bytes: Uint8Array.of(4, 4),
          inputs: [{ name: 'map', type: 'float32', layout: 'nchw', shape: [1, 2, 3, 3] }],
          outputs: ['boxes'],
        },
        operators: ['TopK'],
        nodes: 1,
        share: 0.9,
      },
    },
  },
}

test('an entry of a model in two parts holds the second one; one that was changed by hand is refused', () => {
  const parts = partsOfEntry(addon, 'k', inTwo, [{ path: 'm', bytes: model }], [])
  expect(read(parts)).toEqual({ ...inTwo, beside: [] })
  const none = { ...inTwo.compiled.split!, partition: { ...inTwo.compiled.split!.partition, tail: null } }
  const whole = { ...inTwo, compiled: { ...compiled, split: none } }
  expect(read(partsOfEntry(addon, 'k', whole, [{ path: 'm', bytes: model }], []))).toEqual({ ...whole, beside: [] })
  const changes: readonly ((split: Record<string, any>) => void)[] = [
    (split) => (split['outputs'] = [1]),
    (split) => (split['share'] = 2),
    (split) => (split['nodes'] = -1),
    (split) => delete split['why'],
    (split) => (split['tail'].section = 99),
    (split) => (split['tail'].inputs[0].type = 'int64'),
    (split) => (split['tail'].inputs[0].shape = [-1]),
    (split) => (split['tail'] = 5),
  ]
  for (const change of changes)
    expect(() => read(forged((header) => change(header['split'] as Record<string, unknown>), inTwo))).toThrow(
      /split is not as it should be|a section that it does not have/,
    )
})

test('an entry holds whole constants where the model’s bytes are not those of a file', () => {
  const parts = partsOfEntry(addon, 'k', kept, [{ path: 'm', bytes: new Uint8Array() }], [])
  expect(read(parts, 'k', new Uint8Array()).compiled).toEqual(compiled)
})

test('every changed bit of an entry is found, or changes nothing', () => {
  const whole = Uint8Array.from(Buffer.concat(partsOfEntry(addon, 'k', kept, [{ path: 'm', bytes: model }], [])))
  let refused = 0
  for (let bit = 0; bit < whole.length * 8; bit++) {
    const damaged = whole.slice()
    damaged[bit >> 3]! ^= 1 << (bit % 8)
    let entry: Entry | null = null
    try {
      entry = read([damaged])
    } catch {
      refused++
    }
    if (entry) expect(entry).toEqual({ ...kept, beside: [] })
  }
  // Only the padding of four parts may change unseen.
  expect(refused).toBeGreaterThan((whole.length - 4 * 63) * 8)
})

test.each<[string, (header: Record<string, unknown>) => void, string]>([
  ['another key', (header) => (header['key'] = 'x'), 'it belongs to another model'],
  ['a place behind the model', (header) => (header['constants'] = [[0, 0, 990, 64]]), 'the model does not have'],
  ['a file that it does not name', (header) => (header['constants'] = [[0, 1, 0, 4]]), 'the model does not have'],
  ['a section that is not there', (header) => (header['constants'] = [[0, 9]]), 'section that it does not have'],
  ['a negative place', (header) => (header['constants'] = [[0, 0, -4, 4]]), 'its constants is not as it should be'],
  ['a place that is no number', (header) => (header['constants'] = [[0, 0, '4', 4]]), 'its constants is not'],
  ['no sections', (header) => (header['sections'] = []), 'its sections is not as it should be'],
  ['a huge section', (header) => (header['sections'] = [[2 ** 52, '']]), 'it is cut off'],
  ['too many threads', (header) => (header['tuned'] = { threads: 65, sentence: '' }), 'its tuned is not'],
  ['a list for a path', (header) => (header['beside'] = [[['/'], '']]), 'its beside is not as it should be'],
  ['no list of files', (header) => delete header['files'], 'its files is not as it should be'],
])('a forged entry with %s is refused', (_, change, why) => {
  expect(() => read(forged(change))).toThrow(why)
})

test('a header that is no object is refused', () => {
  for (const text of ['null', '[]', '7', '{']) {
    const other = Buffer.from(text.padEnd(16))
    const start = Buffer.alloc(48)
    ;[0x434c5047, 1, other.length, 0].forEach((word, i) => start.writeUInt32LE(word, i * 4))
    start.write(addon.fingerprint(other), 16, 'latin1')
    expect(() => read([start, other]), text).toThrow()
  }
})

test('the native reader refuses a plan that the entry’s own checks let pass', async () => {
  const { compiled: plan } = read(forged(() => undefined))
  expect(await openCompiled(plan, 'native', {})).toEqual(
    expect.objectContaining({ why: expect.stringContaining('plan') }),
  )
})

test('one changed byte anywhere changes a fingerprint', () => {
  for (const length of [1, 7, 8, 63, 64, 65, 200]) {
    const bytes = Uint8Array.from({ length }, (_, i) => i)
    const prints = new Set([addon.fingerprint(bytes), addon.fingerprint(new Uint8Array(length + 1))])
    for (let i = 0; i < length; i++) {
      const other = bytes.slice()
      other[i]! ^= 0x80
      prints.add(addon.fingerprint(other))
    }
    expect(prints.size, `${length} bytes`).toBe(length + 2)
  }
})

test('zeros at the end change a fingerprint', () => {
  const prints = new Set(Array.from({ length: 130 }, (_, length) => addon.fingerprint(new Uint8Array(length))))
  expect(prints.size).toBe(130)
})
