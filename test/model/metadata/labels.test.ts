/** Label files as people and tools write them: encodings, separators, numbers in front, JSON. */
import { describe, expect, it } from 'vitest'
import { parseLabels, repeatedLabels } from '../../../src/model/metadata/labels.js'

const read = (content: string | Uint8Array, file = 'labels.txt'): string[] =>
  parseLabels(typeof content === 'string' ? new TextEncoder().encode(content) : content, file)

const utf16 = (text: string, mark: readonly [number, number]): Uint8Array => {
  const isLittle = mark[0] === 0xff
  const units = [...text].flatMap((c) => [c.charCodeAt(0) & 255, c.charCodeAt(0) >> 8])
  const bytes = isLittle ? units : units.map((_, i) => units[i ^ 1]!)
  return Uint8Array.from([...mark, ...bytes])
}

describe('labels are read from', () => {
  it.each<[string, string | Uint8Array, string[]]>([
    ['lines', 'cat\ndog\n', ['cat', 'dog']],
    ['lines with a mark', '\ufeffcat\ndog', ['cat', 'dog']],
    ['lines of Windows', 'cat\r\ndog\r\n', ['cat', 'dog']],
    ['lines of old Macs', 'cat\rÄpfel\r苹果', ['cat', 'Äpfel', '苹果']],
    ['UTF-16, little end first', utf16('cat\r\nÄpfel\r\n', [0xff, 0xfe]), ['cat', 'Äpfel']],
    ['UTF-16, big end first', utf16('cat\nÄpfel', [0xfe, 0xff]), ['cat', 'Äpfel']],
    ['one line with semicolons', 'cat;dog;bird', ['cat', 'dog', 'bird']],
    ['one line with commas', 'cat, dog, bird\n', ['cat', 'dog', 'bird']],
    ['quoted lines', '"cat"\n"hot dog"\n', ['cat', 'hot dog']],
    ['numbered lines', '0 Left hand\n1 Right hand\n', ['Left hand', 'Right hand']],
    ['numbered lines in any order', '3 fish\n1 dog\n0 cat\n2 bird', ['cat', 'dog', 'bird', 'fish']],
    ['numbers with signs', '0: cat\n1: dog', ['cat', 'dog']],
    ['numbers from 1 with signs', '2;dog\n1;cat', ['cat', 'dog']],
    ['labels that begin with other numbers', '1 euro\n2 euro', ['1 euro', '2 euro']],
    ['labels with commas', 'tench, Tinca tinca\ngoldfish', ['tench, Tinca tinca', 'goldfish']],
    ['a JSON list', '["cat", "dog"]', ['cat', 'dog']],
    ['a JSON map by index', '{"1": "dog", "0": "cat"}', ['cat', 'dog']],
    ['a JSON map by label', '{"dog": 1, "cat": 0}', ['cat', 'dog']],
    [
      "Keras's index of ImageNet",
      '{"0": ["n01440764", "tench"], "1": ["n01443537", "goldfish"]}',
      ['tench', 'goldfish'],
    ],
    ['a JSON object with labels', '{"labels": [{"name": "cat"}, {"name": "dog"}]}', ['cat', 'dog']],
    ['lines in brackets', '[none]\n[cat]', ['[none]', '[cat]']],
  ])('%s', (_, content, labels) => expect(read(content)).toEqual(labels))
})

describe('labels are refused in one sentence', () => {
  it.each<[string, string | Uint8Array, RegExp]>([
    [
      'in Latin-1',
      Uint8Array.of(99, 97, 116, 10, 0xc4, 112, 102, 101, 108),
      /^labels labels\.txt is not UTF-8 but most likely Latin-1 .*line 2 reads Äpfel/,
    ],
    ['in UTF-16 without a mark', utf16('cat\ndog', [0xff, 0xfe]).subarray(2), /is UTF-16 without a byte order mark/],
    ['with an empty line between', 'cat\n\ndog', /labels\.txt: line 2 is empty/],
    ['of JSON that is something else', '{"cat": {"a": 1}}', /is JSON, but neither a list of labels nor a map/],
    ['of JSON with a gap', '{"0": "cat", "2": "dog"}', /is JSON, but neither/],
  ])('%s', (_, content, sentence) => expect(() => read(content)).toThrow(sentence))
})

it('labels that several classes have are found once each, without placeholders', () => {
  expect(repeatedLabels(['cat', '???', 'dog', 'cat', '???', 'cat', 'bird', 'dog'])).toEqual(['cat', 'dog'])
  expect(repeatedLabels(['cat', 'dog'])).toEqual([])
})
