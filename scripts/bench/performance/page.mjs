// Makes docs/performance.md from the results. Every number of the page is in docs/performance.json.
import { armSection } from './arm.mjs'
import { peakShare, targets } from './targets.mjs'

const table = (heading, rows, align = []) =>
  [heading, heading.map((_, i) => align[i] ?? (i > 0 ? '--:' : '---')), ...rows]
    .map((row) => `| ${row.join(' | ')} |`)
    .join('\n')
const ms = (value) => (value < 1 ? value.toFixed(3) : value < 100 ? value.toFixed(2) : value.toFixed(1))
const names = {
  gapcam: 'gapcam',
  'onnxruntime-node': 'onnxruntime-node',
  onnxruntime: 'onnxruntime',
  ncnn: 'ncnn',
  mnn: 'MNN',
  litert: 'LiteRT',
  openvino: 'OpenVINO',
}

const titles = {
  gapcam: 'gapcam',
  'gapcam-kept': 'gapcam, plan kept',
  'gapcam-onnxruntime': 'fallback',
  'onnxruntime-node': 'onnxruntime-node',
}

/** The page. `notes` is the part written by hand that ends it. */
export function page(parts, notes) {
  const sections = [
    introduction(parts),
    targetTable(parts),
    peers(parts),
    eightBits(parts),
    underLoad(parts),
    memory(parts),
    arena(parts),
    camera(parts),
    frameLoop(parts),
    steps(parts),
    kernels(parts),
    armSection(parts, table),
  ]
  return `${[...sections.filter(Boolean), notes.trim()].filter(Boolean).join('\n\n')}\n`
}

function introduction(parts) {
  return `<!-- Written by scripts/bench/performance.mjs from docs/performance.json and docs/performance-notes.md. Do not edit. -->
# Performance

\`\`\`
node scripts/bench/performance.mjs     # measures everything below and writes this page; about a quarter of an hour
gapcam bench --steps MODEL               # where the time of one network goes
gapcam bench --compare onnxruntime       # both engines side by side
\`\`\`

**Measured** figures are times and memory on the machine named here; **counted** ones (bytes, instructions, calls) do not
depend on a machine's load; **modelled** ones come from a model of a processor and are bounds, not times. gapcam has not
been timed on a board yet. Raw results: [performance.json](performance.json).

${provenance(parts)}`
}

function provenance(parts) {
  const machines = new Map()
  for (const [name, { date, machine }] of Object.entries(parts)) {
    const text = `${machine.cpu} (family ${machine.family}), ${machine.cores} cores, ${machine.extensions.join(', ')}, ${machine.memoryGb} GB, Linux ${machine.kernel}, Node ${machine.node}, ${date}`
    machines.set(text, [...(machines.get(text) ?? []), name])
  }
  const lines = [...machines].map(([text, of]) => `- ${of.join(', ')}: ${text}`)
  const versions = Object.entries(parts.peers?.data.versions ?? {})
    .map(([name, version]) => `${name} ${version}`)
    .join(', ')
  return lines.join('\n') + (versions ? `\n- versions: ${versions}` : '')
}

function targetTable(parts) {
  const rows = targets(parts)
  if (rows.length === 0) return ''
  const met = rows.filter(({ isMet }) => isMet).length
  return `## Targets

${met} of ${rows.length} met.

${table(
  ['', 'wanted', 'reached', '', 'kind'],
  rows.map(({ what, wanted, measured, isMet, missedBy, kind, note }) => [
    what,
    wanted,
    `${measured}${note ? ` (${note})` : ''}`,
    isMet ? 'met' : `missed by ${missedBy}`,
    kind,
  ]),
  ['---', '--:', '--:', '---', '---'],
)}`
}

function peers(parts) {
  if (!parts.peers) return ''
  const { models, missing } = parts.peers.data
  const tables = [...new Set(models.map(({ threads }) => threads))].map(
    (threads) =>
      `### ${threads} ${threads === 1 ? 'thread' : 'threads'}\n\n${peerTable(models.filter((row) => row.threads === threads))}`,
  )
  const failed = models.flatMap(({ model, threads, peers: results }) =>
    Object.entries(results)
      .filter(([peer, { error }]) => error && !missing[peer])
      .map(
        ([peer, { error }]) =>
          `- ${names[peer]}, ${model}, ${threads} ${threads === 1 ? 'thread' : 'threads'}: ${error}`,
      ),
  )
  const without = [...Object.entries(missing).map(([peer, why]) => `- ${names[peer]}: ${why}`), ...failed]
  return `## Other runtimes

Measured: least milliseconds of an inference, the median in brackets, and the share of a core's FMA peak (2 multiply-adds
of the direct algorithm; Winograd's passes 100 %). Batch 1, float32, each runtime in a process of its own with its own
best settings, taking turns in one run, outputs compared. The fastest is bold.

![Least milliseconds of each network and runtime](performance.svg)

${tables.join('\n\n')}${without.length > 0 ? `\n\nNot measured:\n\n${without.join('\n')}` : ''}`
}

function eightBits(parts) {
  if (!parts.bytes) return ''
  const { models } = parts.bytes.data
  const tables = [...new Set(models.map(({ threads }) => threads))].map((threads) => {
    const rows = models.filter((row) => row.threads === threads).map((row) => ({ ...row, peakGflops: null }))
    return `#### ${threads} ${threads === 1 ? 'thread' : 'threads'}\n\n${peerTable(rows)}`
  })
  return `### 8 bits

Measured as above. The first networks are quantised for this: gapcam, onnxruntime and OpenVINO run the file of onnxruntime's
quantiser (activations uint8, weights int8 per channel), LiteRT and MNN that of their own; ncnn's package has none. Files that have 8 bits
already go as they are to those that read them. gapcam begins with the bytes that its pixel pass writes, the others with the type of
the file's input. *wrong* is a result that is off by more than half of the range (a tenth where both have one file).

${tables.join('\n\n')}`
}

function peerTable(models) {
  const all = [...new Set(models.flatMap(({ peers: results }) => Object.keys(results)))]
  const rows = models.map((row) => {
    const best = Math.min(
      ...Object.values(row.peers)
        .filter(({ minMs, error }) => minMs !== undefined && !error)
        .map(({ minMs }) => minMs),
    )
    return [row.model, ...all.map((peer) => cell(row, row.peers[peer], best))]
  })
  return table(['network', ...all.map((peer) => names[peer])], rows)
}

function cell(row, result, best) {
  if (!result) return ''
  if (result.error) return result.minMs === undefined ? 'fails' : 'wrong'
  const share = row.peakGflops ? `, ${peakShare(row, result.minMs).toFixed(0)} %` : ''
  const least = result.minMs === best ? `**${ms(result.minMs)}**` : ms(result.minMs)
  return `${least} (${ms(result.medianMs)})${share}`
}

function underLoad(parts) {
  if (!parts.load) return ''
  return `### 2 threads beside a busy program

Measured: another program keeps one core busy all the time. Least milliseconds, median in brackets.

${peerTable(parts.load.data.models.map((row) => ({ ...row, peakGflops: null })))}`
}

function memory(parts) {
  if (!parts.memory) return ''
  const { models, rounds, bareNodeMb } = parts.memory.data
  const engines = Object.keys(models[0].engines)
  const rows = models.map((row) => [
    row.model,
    ...['openToResultMs', 'importMs', 'peakRssMb'].flatMap((key) =>
      engines.map((engine) => row.engines[engine][key].toFixed(0)),
    ),
  ])
  const heading = ['ms', 'import, ms', 'MB'].flatMap((unit) => engines.map((engine) => `${titles[engine]}, ${unit}`))
  return `## Opening a model, and memory

Measured: least of ${rounds} fresh processes, one thread; from the call that opens the model to the first scores, the import of
the package before it, and the median peak resident set (VmHWM), of which bare Node is ${bareNodeMb.toFixed(0)} MB. In *plan kept* an earlier process
has kept the compiled model on disk. *fallback* is gapcam with onnxruntime as its engine, in a worker thread.

${table(['network', ...heading], rows)}`
}

function arena(parts) {
  if (!parts.arena) return ''
  const mb = (bytes) => (bytes / 1e6).toFixed(2)
  return `### The arena

Counted: megabytes of activations, the lower bound that the tensors' lifetimes allow, and the constants.

${table(
  ['network', 'arena', 'lower bound', 'ratio', 'constants'],
  parts.arena.data.models.map((row) => [
    row.model,
    mb(row.arenaBytes),
    mb(row.lowerBoundBytes),
    row.ratio.toFixed(3),
    mb(row.constantBytes),
  ]),
)}`
}

function camera(parts) {
  if (!parts.preprocess) return ''
  return `## Camera to tensor

Measured: from a frame in memory to the network's normalised input, one thread.

${table(
  ['frame', 'least ms', 'median ms', 'a memcpy of the frame, ms', 'ratio'],
  parts.preprocess.data.passes.map((row) => [
    row.what,
    row.minMs.toFixed(3),
    row.medianMs.toFixed(3),
    row.memcpyMs.toFixed(4),
    row.overMemcpy.toFixed(1),
  ]),
)}`
}

function frameLoop(parts) {
  if (!parts.frameLoop) return ''
  const { models, eventLoop } = parts.frameLoop.data
  const rows = models.map((row) => [
    row.model,
    row.threads,
    row.allocations,
    row.otherCalls,
    row.futexCalls?.toFixed(1) ?? 'not counted',
  ])
  return `## The frame loop

Counted: calls of the allocator and of the kernel per inference, as the difference between a short and a long run. Measured: the
event loop's delay while a program infers at full rate (${eventLoop.model}): p50 ${eventLoop.p50Ms.toFixed(2)} ms, p99 ${eventLoop.p99Ms.toFixed(2)} ms, most ${eventLoop.maxMs.toFixed(2)} ms;
p99 of an idle program ${eventLoop.idleP99Ms.toFixed(2)} ms. Futex calls are counted under strace, which slows a thread's partner
and so makes it wait more often: an upper bound.

${table(['network', 'threads', 'allocations', 'system calls but futex', 'futex calls'], rows)}`
}

function steps(parts) {
  if (!parts.steps) return ''
  const rows = [parts.steps.data].flat().flatMap(({ model, steps: list, sumMs, peakGflops, threads }) =>
    [...grouped(list, 'kernel')]
      .map(([kernel, some]) => {
        const time = sum(some, 'ms')
        const flops = some.reduce((total, { gflops, ms: own }) => total + (gflops ?? 0) * own, 0)
        const megabytes = (sum(some, 'inputBytes') + sum(some, 'outputBytes') + sum(some, 'weightBytes')) / 1e6
        return {
          share: time / sumMs,
          cells: [
            model,
            `\`${kernel}\``,
            some.length,
            ms(time),
            `${((time / sumMs) * 100).toFixed(0)} %`,
            flops ? `${((flops / time / peakGflops / threads) * 100).toFixed(0)} %` : '',
            megabytes.toFixed(2),
          ],
        }
      })
      .filter(({ share }) => share >= 0.02)
      .sort((a, b) => b.share - a.share),
  )
  return `## Where the time goes

Measured on one thread: kernels that take at least 2 % of a network's time, the sum of their steps' least times and their share
of the core's peak. Counted: bytes of the tensors and weights that they read and write.

${table(
  ['network', 'kernel', 'steps', 'ms', 'of the network', 'of peak', 'MB'],
  rows.map(({ cells }) => cells),
  ['---', '---'],
)}`
}

const sum = (list, key) => list.reduce((total, entry) => total + entry[key], 0)

function grouped(list, key) {
  const groups = new Map()
  for (const entry of list) groups.set(entry[key], [...(groups.get(entry[key]) ?? []), entry])
  return groups
}

function kernels(parts) {
  if (!parts.kernels) return ''
  const rows = [...grouped(parts.kernels.data.kernels, 'kernel')].map(([kernel, some]) => {
    const shares = some
      .map(({ peakPercent }) => peakPercent)
      .filter((share) => share !== null)
      .sort((a, b) => a - b)
    const share = (at) => (shares.length > 0 ? `${shares[at].toFixed(0)} %` : '')
    return [`\`${kernel}\``, some.length, share(0), share(shares.length >> 1), share(shares.length - 1)]
  })
  return `## Kernels alone

Measured on one thread: each kernel by itself on the different shapes of the networks above, data in the cache where it fits.
Least, median and greatest share of the core's peak. \`node scripts/bench/kernels.mjs\` prints each shape.

${table(['kernel', 'shapes', 'least', 'median', 'greatest'], rows)}`
}
