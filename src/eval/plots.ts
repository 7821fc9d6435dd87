/** SVG plots of an evaluation: confusion matrix, calibration, precision against coverage. */
import type { Bin, Evaluation, Threshold } from './metrics.js'

/** Most classes of a confusion matrix; the ones with the most pictures are drawn. */
const mostClasses = 40
const ink = '#1a1a2e'
const paper = '#ffffff'
const [blue, red] = ['#2a6f97', '#c44536']

/** The confusion matrix: truth down, prediction across; the opacity of a cell is its share of the row. */
export function confusionSvg({ confusion, classes }: Evaluation, labels: readonly string[]): string {
  const drawn = classes
    .toSorted((a, b) => b.shown + b.said - a.shown - a.said)
    .slice(0, mostClasses)
    .sort((a, b) => a.index - b.index)
  const [cell, margin] = [Math.max(16, Math.min(48, Math.floor(640 / drawn.length))), 170]
  const side = margin + cell * drawn.length + 20
  const place = new Map(drawn.map(({ index }, i) => [index, i]))
  const shown = new Map(drawn.map(({ index, shown: count }) => [index, Math.max(1, count)]))
  const cells = confusion.flatMap(({ truth, predicted, count }) => {
    const [row, column] = [place.get(truth), place.get(predicted)]
    if (row === undefined || column === undefined) return []
    const share = count / shown.get(truth)!
    const [x, y] = [margin + column * cell, margin + row * cell]
    return [
      `<rect x="${x}" y="${y}" width="${cell}" height="${cell}" fill="${truth === predicted ? blue : red}" fill-opacity="${(0.12 + 0.88 * share).toFixed(3)}"/>` +
        text(x + cell / 2, y + cell / 2 + 4, String(count), {
          size: Math.min(12, cell * 0.5),
          anchor: 'middle',
          fill: share > 0.5 ? paper : ink,
        }),
    ]
  })
  const names = drawn.map(({ index }, i) => {
    const middle = margin + i * cell + cell / 2
    const name = clipped(labels[index] ?? String(index), 24)
    return (
      text(margin - 6, middle + 4, name, { anchor: 'end', size: 11 }) +
      `<g transform="translate(${middle + 4} ${margin - 6}) rotate(-90)">${text(0, 0, name, { size: 11 })}</g>`
    )
  })
  const frame = `<rect x="${margin}" y="${margin}" width="${cell * drawn.length}" height="${cell * drawn.length}" fill="none" stroke="${ink}"/>`
  return svg(side, side, [...cells, ...names, frame, text(8, 20, 'predicted across, true down', { size: 13 })])
}

/** The reliability diagram: bars are each bin's accuracy, the diagonal is perfect calibration. */
export function calibrationSvg(bins: readonly Bin[], ece: number): string {
  const { at, frame } = axes('score', 'accuracy')
  const bars = bins.flatMap(({ from, to, count, accuracy }) => {
    if (count === 0 || accuracy === null) return []
    const [x0, y0] = at(from, 0)
    const [x1, y1] = at(to, accuracy)
    return [
      `<rect x="${x0 + 1}" y="${y1}" width="${x1 - x0 - 2}" height="${Math.max(1, y0 - y1)}" fill="${blue}"/>` +
        text((x0 + x1) / 2, y1 - 4, String(count), { size: 10, anchor: 'middle' }),
    ]
  })
  return svg(width, height, [
    ...bars,
    polyline([at(0, 0), at(1, 1)], ink, '4 4'),
    frame,
    text(width / 2, 20, `expected calibration error ${ece.toFixed(3)}; numbers are pictures`, {
      size: 13,
      anchor: 'middle',
    }),
  ])
}

/** Precision and coverage over the threshold, with the wanted precision as a dashed line. */
export function precisionSvg(steps: readonly Threshold[], wanted: number): string {
  const { at, frame } = axes('threshold', 'share')
  const precision = polyline(
    steps.map(({ threshold, precision: value }) => at(threshold, value)),
    blue,
  )
  const coverage = polyline(
    steps.map(({ threshold, coverage: value }) => at(threshold, value)),
    red,
  )
  return svg(width, height, [
    precision,
    coverage,
    polyline([at(0, wanted), at(1, wanted)], ink, '4 4'),
    frame,
    text(width / 2 - 90, 20, 'precision', { size: 13, fill: blue }),
    text(width / 2, 20, 'pictures answered', { size: 13, fill: red }),
  ])
}

type Point = readonly [number, number]
const [width, height, edge] = [480, 380, 48]

function axes(across: string, up: string): { at: (x: number, y: number) => Point; frame: string } {
  const at = (x: number, y: number): Point => [edge + x * (width - 2 * edge), height - edge - y * (height - 2 * edge)]
  const [left, bottom] = at(0, 0)
  const ticks = [0, 0.25, 0.5, 0.75, 1].map((value) => {
    const [x, y] = at(value, value)
    return (
      text(x, bottom + 16, String(value), { size: 11, anchor: 'middle' }) +
      text(left - 6, y + 4, String(value), { size: 11, anchor: 'end' })
    )
  })
  const box = `<rect x="${left}" y="${edge}" width="${width - 2 * edge}" height="${height - 2 * edge}" fill="none" stroke="${ink}"/>`
  const names =
    text(width / 2, height - 10, across, { size: 12, anchor: 'middle' }) +
    `<g transform="translate(14 ${height / 2}) rotate(-90)">${text(0, 0, up, { size: 12, anchor: 'middle' })}</g>`
  return { at, frame: box + ticks.join('') + names }
}

function polyline(points: readonly Point[], colour: string, dashes = 'none'): string {
  return `<polyline points="${points.map(([x, y]) => `${x.toFixed(1)},${y.toFixed(1)}`).join(' ')}" fill="none" stroke="${colour}" stroke-width="2" stroke-dasharray="${dashes}"/>`
}

function svg(w: number, h: number, parts: readonly string[]): string {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${w}" height="${h}"><rect width="${w}" height="${h}" fill="${paper}"/>${parts.join('')}</svg>`
}

function text(
  x: number,
  y: number,
  words: string,
  { size, anchor = 'start', fill = ink }: { size: number; anchor?: string; fill?: string },
): string {
  return `<text x="${x}" y="${y}" font-family="sans-serif" font-size="${size}" text-anchor="${anchor}" fill="${fill}">${escaped(words)}</text>`
}

function clipped(words: string, most: number): string {
  return words.length > most ? `${words.slice(0, most - 1)}…` : words
}

/** Escapes a label for XML. Labels come from files and may hold markup or control characters. */
function escaped(words: string): string {
  return words
    .replace(/[\u0000-\u001f\u007f\ufffe\uffff]|[\ud800-\udfff](?![\udc00-\udfff])/gu, ' ')
    .replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`)
}
