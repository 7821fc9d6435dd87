// The engine's targets beside the measured values: one row per target, with the margin.

import { armRows } from './arm.mjs'

const geometricMean = (values) => Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length)
const usable = (result) => result && result.minMs !== undefined && !result.error

/** For each network the fastest peer's time divided by gapcam's, for a number of threads. `peers` may name one peer. */
function speedups(models, threads, peer) {
  const rows = models.filter((row) => row.threads === threads && usable(row.peers.gapcam))
  return rows.flatMap(({ model, peers }) => {
    const others = Object.entries(peers)
      .filter(([name, result]) => name !== 'gapcam' && usable(result) && (!peer || name === peer))
      .map(([name, { minMs }]) => ({ name, minMs }))
    if (others.length === 0) return []
    const best = others.reduce((a, b) => (b.minMs < a.minMs ? b : a))
    return [{ model, peer: best.name, ratio: best.minMs / peers.gapcam.minMs }]
  })
}

/** A target with a lower or an upper bound. `digits` and `unit` are for the page. */
function row(what, measured, { atLeast, atMost, unit = '', digits = 2, kind = 'measured', note = '' }) {
  const isMissing = measured === undefined || Number.isNaN(measured)
  const wanted = atLeast ?? atMost
  const isMet = isMissing ? null : atLeast !== undefined ? measured >= atLeast : measured <= atMost
  // The margin as a share of the target, or as a difference for targets of zero.
  const missedBy =
    wanted > 0
      ? `${(Math.abs(measured / wanted - 1) * 100).toFixed(1)} %`
      : `${Math.abs(measured - wanted).toFixed(1)}${unit}`
  return {
    what,
    wanted: `${atLeast !== undefined ? '≥' : '≤'} ${wanted}${unit}`,
    measured: isMissing ? null : `${measured.toFixed(digits)}${unit}`,
    isMet,
    missedBy: isMet === false ? missedBy : '',
    kind,
    note,
  }
}

function peerRows(models) {
  const fastest = speedups(models, 1)
  const node = speedups(models, 1, 'onnxruntime-node')
  const two = speedups(models, 2)
  const of = (list, model) => list.find((entry) => entry.model === model)?.ratio
  const worst = fastest.length > 0 ? fastest.reduce((a, b) => (b.ratio < a.ratio ? b : a)) : undefined
  const mean = (list) => (list.length > 0 ? geometricMean(list.map(({ ratio }) => ratio)) : undefined)
  const time = (model, threads) =>
    models.find((entry) => entry.model === model && entry.threads === threads)?.peers.gapcam?.minMs
  return [
    row('1 thread, the fastest peer of each network: geometric mean', mean(fastest), { atLeast: 1.15, unit: '×' }),
    row('1 thread, the fastest peer of each network: worst network', worst?.ratio, {
      atLeast: 1,
      unit: '×',
      note: worst ? `${worst.model}, ${worst.peer}` : '',
    }),
    row('1 thread, onnxruntime-node: geometric mean', mean(node), { atLeast: 1.3, unit: '×' }),
    ...[
      ['resnet18', 1.6],
      ['shufflenet_v2_x1_0', 1.5],
      ['mobilenet_v3_large', 1.35],
    ].map(([model, atLeast]) => row(`1 thread, onnxruntime-node: ${model}`, of(node, model), { atLeast, unit: '×' })),
    ...[
      ['resnet18', 1.85],
      ['mobilenet_v2', 1.75],
    ].map(([model, atLeast]) =>
      row(`2 threads over 1: ${model}`, time(model, 1) / time(model, 2), { atLeast, unit: '×' }),
    ),
    row('2 threads, the fastest peer of each network: geometric mean', mean(two), { atLeast: 1.2, unit: '×' }),
  ]
}

/** In 8 bits: the network, the peer that it is compared with (default the fastest), and the wanted ratio. */
const byteRatios = [
  { model: 'mobilenet_v2', atLeast: 1.5 },
  { model: 'mobilenet-v2-int8', peer: 'onnxruntime', atLeast: 3.3 },
  { model: 'efficientnet_lite0', peer: 'onnxruntime', atLeast: 1.6 },
  { model: 'efficientnet-lite0-int8', peer: 'onnxruntime', atLeast: 2.9 },
  { model: 'resnet18', atLeast: 1.03 },
]

function byteRows(models) {
  const two = ['mobilenet_v2', 'efficientnet_lite0', 'resnet18']
  const time = (model, threads) =>
    models.find((entry) => entry.model === model && entry.threads === threads)?.peers.gapcam?.minMs
  return [
    ...byteRatios.map(({ model, peer, atLeast }) => {
      const found = speedups(models, 1, peer).find((entry) => entry.model === model)
      const note = found && !peer ? found.peer : ''
      return row(`8 bits, 1 thread, ${peer ?? 'the fastest peer'}: ${model}`, found?.ratio, {
        atLeast,
        unit: '×',
        note,
      })
    }),
    ...two.map((model) =>
      row(`8 bits, 2 threads over 1: ${model}`, time(model, 1) / time(model, 2), { atLeast: 1.75, unit: '×' }),
    ),
  ]
}

const peakShares = {
  mobilenet_v1: 93,
  mobilenet_v2: 85,
  efficientnet_lite0: 85,
  mobilenet_v3_large: 80,
  shufflenet_v2_x1_0: 85,
  squeezenet1_1: 115,
  resnet18: 150,
}

/** Share of the peak: 2 · MACs of the direct algorithm, divided by a core's FMA peak times the minimum time. */
export function peakShare({ macs, threads, peakGflops }, minMs) {
  return ((2 * macs) / (minMs * 1e6) / (peakGflops * threads)) * 100
}

function shareRows(models) {
  return Object.entries(peakShares).map(([model, atLeast]) => {
    const found = models.find((entry) => entry.model === model && entry.threads === 1)
    return row(
      `share of the core's FMA peak: ${model}`,
      usable(found?.peers.gapcam) ? peakShare(found, found.peers.gapcam.minMs) : undefined,
      { atLeast, unit: ' %', digits: 0 },
    )
  })
}

/** With another program on one of two cores, the median must stay near the time of one thread. */
function loadRows(load, models) {
  return load.map(({ model, peers }) => {
    const quiet = models.find((entry) => entry.model === model && entry.threads === 2)?.peers.gapcam?.medianMs
    return row(`2 threads beside a busy program, median over the quiet one: ${model}`, peers.gapcam?.medianMs / quiet, {
      atMost: 3,
      unit: '×',
      note: peers.ncnn?.medianMs
        ? `ncnn ${(peers.ncnn.medianMs / models.find((entry) => entry.model === model && entry.threads === 2)?.peers.ncnn?.medianMs).toFixed(1)}×`
        : '',
    })
  })
}

function memoryRows({ models }) {
  const rows = models.filter(({ engines }) => engines.gapcam && engines['onnxruntime-node'])
  const lite = rows.find(({ model }) => model === 'efficientnet_lite0')?.engines
  const differences = rows.map(({ model, engines }) => ({
    model,
    mb: engines.gapcam.peakRssMb - engines['onnxruntime-node'].peakRssMb,
  }))
  return [
    row('open to first result, efficientnet_lite0', lite?.gapcam.openToResultMs, {
      atMost: 120,
      unit: ' ms',
      digits: 0,
    }),
    ...['gapcam', 'gapcam-kept']
      .filter((engine) => engine === 'gapcam' || lite?.[engine])
      .map((engine) =>
        row(
          `open to first result over onnxruntime-node's${engine === 'gapcam' ? '' : ', with a kept plan'}, efficientnet_lite0`,
          lite && lite[engine].openToResultMs / lite['onnxruntime-node'].openToResultMs,
          { atMost: 0.5, unit: '×' },
        ),
      ),
    ...differences.map(({ model, mb }) =>
      row(`peak resident set, against onnxruntime-node's: ${model}`, mb, { atMost: -40, unit: ' MB', digits: 0 }),
    ),
  ]
}

function otherRows({ arena, preprocess, frameLoop }) {
  const worst = arena?.data.models.reduce((a, b) => (b.ratio > a.ratio ? b : a))
  const yuyv = preprocess?.data.passes.find(({ isTarget }) => isTarget)
  const loops = frameLoop?.data.models ?? []
  return [
    row('arena over the lower bound of the lifetimes, worst network', worst?.ratio, {
      atMost: 1.1,
      unit: '×',
      note: worst?.model ?? '',
      kind: 'counted',
    }),
    row('camera to tensor, YUYV 640×480 → 224×224', yuyv?.minMs, {
      atMost: 0.25,
      unit: ' ms',
      note: yuyv ? `${yuyv.overMemcpy.toFixed(1)} × a memcpy of the frame` : '',
    }),
    row(
      'frame loop, allocations per inference',
      frameLoop && Math.max(...loops.map(({ allocations }) => allocations)),
      { atMost: 0, digits: 0, kind: 'counted' },
    ),
    row(
      'frame loop, system calls but futex per inference',
      frameLoop && Math.max(...loops.map(({ otherCalls }) => otherCalls)),
      { atMost: 0, digits: 0, kind: 'counted' },
    ),
    row('event loop delay while inferring, p99', frameLoop?.data.eventLoop.p99Ms, { atMost: 2, unit: ' ms' }),
  ]
}

/** All targets with a measurement. */
export function targets(parts) {
  const models = parts.peers?.data.models ?? []
  return [
    ...(parts.peers
      ? [...peerRows(models), ...loadRows(parts.load?.data.models ?? [], models), ...shareRows(models)]
      : []),
    ...byteRows(parts.bytes?.data.models ?? []),
    ...(parts.memory ? memoryRows(parts.memory.data) : []),
    ...otherRows(parts),
    ...armRows(parts, row),
  ].filter(({ measured }) => measured !== null)
}
