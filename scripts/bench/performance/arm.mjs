// Writes the arm64 part of the page. scripts/arm/count.mjs gives one row for each network, processor and engine,
//   { model, engine: 'gapcam' | 'onnxruntime', cpu, instructions, vector, fmla, bytesLoaded, bytesStored }
// for one inference, and scripts/arm/mca.mjs one row for each hot loop and core,
//   { kernel, compiler, core, fmla, instructionsPerFmla, fmlaBoundPercent }
// as a list or as one object per line.

/** The best peer's count (ncnn, fp32), taken the same way elsewhere: the project does not build it for arm64. */
const wanted = {
  mobilenet_v1: { instructions: 165e6 },
  mobilenet_v2: { instructions: 95e6, bytesLoaded: 250e6, bytesStored: 30e6 },
  resnet18: { instructions: 215e6 },
}
/** Millions of instructions that are wanted of 8-bit files, by processor, and in half precision. */
const wantedBytes = { 'mobilenet-v2-int8': { 'cortex-a76': 41 } }
const wantedHalf = { mobilenet_v2: { 'cortex-a76': 58 }, resnet18: { 'cortex-a76': 140 } }
const words = { instructions: 'instructions, millions', bytesLoaded: 'loaded, MB', bytesStored: 'stored, MB' }

const rowsOf = (part) => (part ? [part.data].flat() : [])

/**
 * The tiles that do most of the work: two and three vectors wide, with the largest number of rows. Smaller tiles finish a
 * map, and panels of one vector finish a layer's channels.
 */
function wholeTiles(loops) {
  const tiles = loops.flatMap((loop) => {
    const [, rows, vectors] = /^Tile<(\d+), (\d+)/.exec(loop.kernel) ?? []
    return rows ? [{ loop, rows: Number(rows), vectors: Number(vectors) }] : []
  })
  const most = Math.max(...tiles.map(({ rows }) => rows))
  return tiles.filter(({ rows, vectors }) => rows === most && vectors > 1).map(({ loop }) => loop)
}

/** Rows for the table of targets. `row` makes one row. */
export function armRows(parts, row) {
  const counts = rowsOf(parts.armCount)
    .filter(({ engine }) => engine === 'gapcam')
    .flatMap(({ model, ...counted }) =>
      Object.entries(wanted[model] ?? {}).map(([key, atMost]) =>
        row(`arm64, 1 thread, ${model}: ${words[key]}`, counted[key] / 1e6, {
          atMost: atMost / 1e6,
          digits: 1,
          kind: 'counted',
        }),
      ),
    )
  const loops = wholeTiles(rowsOf(parts.armMca))
  const most = Math.max(...loops.map(({ instructionsPerFmla }) => instructionsPerFmla))
  const least = Math.min(...loops.map(({ fmlaBoundPercent }) => fmlaBoundPercent))
  const bounds =
    loops.length === 0
      ? []
      : [
          row('arm64, whole tiles of the GEMM: instructions per FMLA, worst', most, { atMost: 1.3, kind: 'counted' }),
          row('arm64, whole tiles of the GEMM: share of the FMLA issue bound, worst', least, {
            atLeast: 95,
            unit: ' %',
            digits: 0,
            kind: 'modelled',
          }),
        ]
  const others = [
    ...wantedRows(rowsOf(parts.armBytes), wantedBytes, '8 bits', row),
    ...wantedRows(rowsOf(parts.armHalf), wantedHalf, 'half precision', row),
  ]
  return [...counts, ...others, ...bounds]
}

function wantedRows(counts, wanted, how, row) {
  return counts.flatMap(({ model, cpu, instructions }) => {
    const atMost = wanted[model]?.[cpu]
    const text = `${cpu}, 1 thread, ${model} in ${how}: ${words.instructions}`
    return atMost ? [row(text, instructions / 1e6, { atMost, digits: 1, kind: 'counted' })] : []
  })
}

/** The counts of 8-bit files and of half precision as a table; '' without them. */
function otherCounts(parts, table, millions) {
  const rows = [
    ...rowsOf(parts.armBytes).map((row) => ({ ...row, how: '8 bits' })),
    ...rowsOf(parts.armHalf).map((row) => ({ ...row, how: 'half precision' })),
  ]
  if (rows.length === 0) return ''
  return `

8-bit files, computed in 8 bits from bytes, and networks in half precision; vector instructions are those that compute in the vector
registers.

${table(
  ['network', 'in', 'processor', 'instructions', 'vector', 'bytes loaded', 'bytes stored'],
  rows.map(({ model, how, cpu, ...counts }) => [
    model,
    how,
    cpu,
    ...['instructions', 'vector', 'bytesLoaded', 'bytesStored'].map((key) => millions(counts[key])),
  ]),
  ['---', '---', '---'],
)}`
}

/** The section of the page, or '' without counts. */
export function armSection(parts, table) {
  const counts = rowsOf(parts.armCount)
  const loops = rowsOf(parts.armMca).filter(({ kernel }) => kernel.startsWith('Tile'))
  const others = rowsOf(parts.armBytes).length + rowsOf(parts.armHalf).length
  if (counts.length + loops.length + others === 0) return ''
  const millions = (value) => (value === undefined || value === null ? '' : (value / 1e6).toFixed(1))
  const counted =
    counts.length === 0
      ? ''
      : `

Counted under qemu, which does not depend on load and says nothing of milliseconds: millions of one inference, one thread.

${table(
  ['network', 'engine', 'instructions', 'FMLA', 'bytes loaded', 'bytes stored'],
  counts.map((row) => [
    row.model,
    row.engine,
    millions(row.instructions),
    millions(row.fmla),
    millions(row.bytesLoaded),
    millions(row.bytesStored),
  ]),
  ['---', '---'],
)}`
  const modelled =
    loops.length === 0
      ? ''
      : `

Modelled by llvm-mca, which assumes that every load hits the first cache: instructions per FMLA of the loop of each tile, rows by
vectors, as ${loops[0]?.compiler} makes it, and its share of the FMLA issue bound.

${table(
  ['kernel', 'core', 'instructions per FMLA', 'of the bound'],
  loops.map((row) => [
    `\`${row.kernel}\``,
    row.core,
    row.instructionsPerFmla.toFixed(2),
    `${row.fmlaBoundPercent.toFixed(0)} %`,
  ]),
  ['---', '---'],
)}`
  return `## arm64${counted}${otherCounts(parts, table, millions)}${modelled}`
}
