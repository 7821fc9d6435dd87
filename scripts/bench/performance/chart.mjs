// Draws a bar chart for each network as SVG: the minimum time of each runtime, gapcam's bar in colour.

const names = {
  gapcam: 'gapcam',
  'onnxruntime-node': 'onnxruntime-node',
  onnxruntime: 'onnxruntime',
  ncnn: 'ncnn',
  mnn: 'MNN',
  litert: 'LiteRT',
  openvino: 'OpenVINO',
}
const width = 880,
  columns = 2,
  gap = 24,
  labelWidth = 118,
  barHeight = 13,
  rowHeight = 17,
  titleHeight = 22

/** Charts of the results on one thread, two in a row. */
export function bars(models) {
  const charts = models.filter(({ threads }) => threads === 1)
  const columnWidth = (width - gap * (columns - 1)) / columns
  const rows = Math.max(1, ...charts.map(({ peers }) => ranked(peers).length))
  const height = titleHeight + rows * rowHeight + 14
  const cells = charts.map(
    (chart, i) =>
      `<g transform="translate(${(i % columns) * (columnWidth + gap)},${Math.floor(i / columns) * height + 6})">${cell(chart, columnWidth)}</g>`,
  )
  const total = Math.ceil(charts.length / columns) * height + 6
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${total}" font-family="sans-serif" font-size="11" role="img" aria-label="Least milliseconds of an inference on one thread, by network and runtime">
<rect width="${width}" height="${total}" fill="#fff"/>
${cells.join('\n')}
</svg>
`
}

const ranked = (peers) =>
  Object.entries(peers)
    .filter(([, { minMs, error }]) => minMs !== undefined && !error)
    .sort((a, b) => a[1].minMs - b[1].minMs)

function cell({ model, peers }, columnWidth) {
  const results = ranked(peers)
  const longest = Math.max(...results.map(([, { minMs }]) => minMs))
  const room = columnWidth - labelWidth - 60
  const lines = results.map(([peer, { minMs }], i) => {
    const y = titleHeight + i * rowHeight
    const length = ((minMs / longest) * room).toFixed(1)
    const isOurs = peer === 'gapcam'
    const weight = isOurs ? ' font-weight="bold"' : ''
    return `<text x="${labelWidth - 6}" y="${y + 10}" text-anchor="end"${weight}>${names[peer] ?? peer}</text><rect x="${labelWidth}" y="${y}" width="${length}" height="${barHeight}" fill="${isOurs ? '#c1440e' : '#9aa7b1'}"/><text x="${(labelWidth + Number(length) + 5).toFixed(1)}" y="${y + 10}"${weight}>${minMs < 1 ? minMs.toFixed(3) : minMs.toFixed(2)}</text>`
  })
  return `<text x="${labelWidth}" y="12" font-weight="bold">${model}, 1 thread, ms</text>\n${lines.join('\n')}`
}
