/** The forms in which training tools write their answers, and sentences about files that fit none of them. */
import { describe, expect, it } from 'vitest'
import { expectedOf } from '../../src/check/expected.js'
import { parseReference, pictureOfRows } from '../../src/check/reference.js'

const parse = (text: string, classes = 3): ReturnType<typeof parseReference> =>
  parseReference(text, classes, 'scores.csv')

describe('parseReference', () => {
  it.each([
    ['with a heading', 'file,label\na.jpg,cat\nb.jpg,dog\n'],
    ['without one', 'a.jpg,cat\nb.jpg,dog'],
    ['with semicolons and Windows line ends', 'a.jpg;cat\r\nb.jpg;dog\r\n'],
    ['with tabs, a byte order mark and empty lines', '\uFEFFa.jpg\tcat\n\nb.jpg\tdog\n'],
    ['with quotes', '"a.jpg","cat"\n"b.jpg","dog"'],
  ])('a label for each picture %s', (_, text) => {
    const row = (file: string, label: string): object => ({ file, label, score: null, scores: null })
    expect(parse(text)).toMatchObject({ rows: [row('a.jpg', 'cat'), row('b.jpg', 'dog')], columns: null })
  })

  it('a cell in quotes may hold separators and quotes', () => {
    expect(parse('file,label\na.jpg,"tabby, ""tiger"" cat"').rows[0]?.label).toBe('tabby, "tiger" cat')
  })

  it('a whole number alone is an index, a fraction alone the score of the second of two classes', () => {
    expect(parse('a.jpg,2\nb.jpg,0').rows.map(({ label }) => label)).toEqual(['2', '0'])
    expect(parse('a.jpg,0.25\nb.jpg,0.5', 2).rows.map(({ scores }) => scores)).toEqual([
      [0.75, 0.25],
      [0.5, 0.5],
    ])
  })

  it('a label with its score, also in percent', () => {
    expect(parse('file,label,score\na.jpg,cat,0.75').rows[0]).toMatchObject({ label: 'cat', score: 0.75 })
    expect(parse('a.jpg,cat,75\nb.jpg,dog,100').rows[0]).toMatchObject({ label: 'cat', score: 0.75 })
  })

  it('scores for each class keep the names of their columns, and logits become probabilities', () => {
    const { rows, columns } = parse('image,cat,dog,bird\na.jpg,0.5,0.25,0.25')
    expect(columns).toEqual(['cat', 'dog', 'bird'])
    expect(rows[0]).toMatchObject({ label: null, scores: [0.5, 0.25, 0.25] })
    const logits = parse('a.jpg,0,0,4').rows[0]!.scores!
    expect(logits[2]).toBeCloseTo(Math.exp(4) / (2 + Math.exp(4)), 6)
  })

  it('a column that the heading calls the prediction is the label, even if it is a number', () => {
    const { rows } = parse('file,predicted,cat,dog,bird\na.jpg,1,0.1,0.8,0.1')
    expect(rows[0]).toMatchObject({ label: '1', scores: [0.1, 0.8, 0.1] })
  })

  it.each([
    ['', 'the file is empty'],
    ['a.jpg\nb.jpg', 'at least two columns'],
    ['file,label\n', 'no picture'],
    ['a.jpg,cat\nb.jpg', 'line 2 has 1 columns, but the first line has 2'],
    ['a.jpg,0.1,0.2,0.3,0.4', '4 scores for each picture, but the model has 3 classes'],
    ['a.jpg,cat,big', 'columns 2 and 3 both hold text'],
  ])('%j is refused in a sentence', (text, sentence) => {
    expect(() => parse(text)).toThrow(sentence)
  })
})

describe('pictureOfRows', () => {
  const rows = (...files: string[]): Parameters<typeof pictureOfRows>[0] =>
    files.map((file) => ({ file, label: 'cat', score: null, scores: null }))

  it('finds pictures by path, by name and by name without ending', () => {
    const pictures = ['cats/a.jpg', 'cats/b.jpg', 'c.png']
    expect(pictureOfRows(rows('cats/a.jpg', 'b.jpg', 'c', '/data/val/cats/a.jpg', 'd.jpg'), pictures)).toEqual([
      'cats/a.jpg',
      'cats/b.jpg',
      'c.png',
      'cats/a.jpg',
      null,
    ])
  })

  it('a name that fits two pictures fits none', () => {
    expect(pictureOfRows(rows('a.jpg', 'dogs/a.jpg'), ['cats/a.jpg', 'dogs/a.jpg'])).toEqual([null, 'dogs/a.jpg'])
  })
})

describe('expectedOf', () => {
  it('columns are matched with labels by name, in any order', () => {
    const reference = parse('file,dog,bird,cat\na.jpg,0.5,0.25,0.25')
    const { answers } = expectedOf(reference, ['a.jpg'], ['cat', 'dog', 'bird'])
    expect(answers).toEqual([{ picture: 'a.jpg', label: 1, score: null, scores: Float64Array.of(0.25, 0.5, 0.25) }])
  })

  it('a model without labels takes those of the reference', () => {
    const numbers = ['class 0', 'class 1', 'class 2']
    expect(expectedOf(parse('file,cat,dog,bird\na.jpg,1,0,0'), ['a.jpg'], numbers).labels).toEqual([
      'cat',
      'dog',
      'bird',
    ])
    const { labels, answers } = expectedOf(parse('a.jpg,dog\nb.jpg,cat'), ['a.jpg', 'b.jpg'], numbers)
    expect(labels).toEqual(['cat', 'dog', 'class 2'])
    expect(answers.map(({ label }) => label)).toEqual([1, 0])
  })

  it('labels that the model does not have are named; a reference with no other ones is refused', () => {
    const labels = ['cat', 'dog', 'bird']
    expect(expectedOf(parse('a.jpg,dog\nb.jpg,unicorn'), ['a.jpg', 'b.jpg'], labels)).toMatchObject({
      answers: [{ picture: 'a.jpg', label: 1 }],
      unknown: ['unicorn'],
    })
    expect(() => expectedOf(parse('b.jpg,unicorn'), ['b.jpg'], labels)).toThrow('unicorn is not a label of the model')
  })
})
