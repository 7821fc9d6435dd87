/** Where a frame's time goes: medians by stage stacked over time, and the percentiles of now in a table. */
import uPlot from 'uplot'
import type { Sample, StageLatency } from '../messages.js'
import { el, panel, say } from './dom.js'
import { text } from './text.js'
import { milliseconds } from './time.js'

export interface LatencyPanel {
  readonly element: HTMLElement
  set(samples: readonly Sample[]): void
  now(stages: readonly StageLatency[], atMs: number): void
}

const order = ['capture', 'preprocess', 'infer', 'decide'] as const
const windowS = 600

export function createLatency(): LatencyPanel {
  const plotPlace = el('div', { class: 'plot', role: 'img' })
  const cells = order.map(() => (['p50', 'p95', 'p99'] as const).map((name) => [name, el('td')] as const))
  const table = el(
    'table',
    {},
    el(
      'thead',
      {},
      el(
        'tr',
        {},
        el('th', { scope: 'col' }, text.latency.stage),
        ...['p50', 'p95', 'p99'].map((name) => el('th', { scope: 'col' }, `${name} ${text.latency.unit}`)),
      ),
    ),
    el(
      'tbody',
      {},
      ...order.map((stage, i) =>
        el(
          'tr',
          {},
          el(
            'th',
            { scope: 'row' },
            el('span', { class: `dot stage-${stage}`, 'aria-hidden': 'true' }),
            text.latency.stages[stage],
          ),
          ...cells[i]!.map(([, cell]) => cell),
        ),
      ),
    ),
  )
  const element = panel(text.latency.title, text.latency.window, plotPlace, table)
  // Seconds, then the running sums of the medians: capture, capture + prepare, …
  const times: number[] = []
  const sums: number[][] = order.map(() => [])
  let plot: uPlot | null = null

  function push(atMs: number, stages: readonly StageLatency[]): void {
    times.push(atMs / 1000)
    let sum = 0
    for (const [i, stage] of order.entries())
      sums[i]!.push((sum += stages.find((entry) => entry.stage === stage)?.p50 ?? 0))
    while (times[0]! < times.at(-1)! - windowS) {
      times.shift()
      for (const column of sums) column.shift()
    }
  }

  /** The highest sum is drawn first, the lower ones over it. */
  const data = (): uPlot.AlignedData => [times, ...[...sums].reverse()]

  function draw(): void {
    if (plotPlace.clientWidth === 0) return
    if (plot) return plot.setData(data())
    const color = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
    const axis = {
      stroke: color('--muted'),
      grid: { stroke: color('--line'), width: 1 },
      ticks: { show: false },
      font: '11px system-ui, sans-serif',
    }
    plot = new uPlot(
      {
        width: plotPlace.clientWidth,
        height: 150,
        legend: { show: false },
        cursor: { show: false },
        padding: [8, 4, 0, 0],
        scales: { x: { time: true }, y: { range: (_, __, max) => [0, Math.max(max * 1.15, 1)] } },
        axes: [
          {
            ...axis,
            size: 26,
            space: 70,
            incrs: [60, 120, 300],
            values: (_, seconds) => seconds.map((value) => new Date(value * 1000).toTimeString().slice(0, 5)),
          },
          { ...axis, size: 42, values: (_, values) => values.map((value) => `${value}`) },
        ],
        series: [
          {},
          ...[...order].reverse().map((stage) => ({
            fill: color(`--${stage}`),
            stroke: color('--surface'),
            width: 1,
            points: { show: false },
          })),
        ],
      },
      data(),
      plotPlace,
    )
  }

  function redraw(): void {
    plot?.destroy()
    plot = null
    draw()
  }
  new ResizeObserver(() => {
    if (plot && plot.width !== plotPlace.clientWidth) plot.setSize({ width: plotPlace.clientWidth, height: 150 })
    else draw()
  }).observe(plotPlace)
  matchMedia('(prefers-color-scheme: light)').addEventListener('change', redraw)

  return {
    element,
    set(samples) {
      times.length = 0
      for (const column of sums) column.length = 0
      for (const { atMs, stages } of samples) push(atMs, stages)
      draw()
    },
    now(stages, atMs) {
      for (const [i, stage] of order.entries())
        for (const [name, cell] of cells[i]!)
          say(cell, milliseconds(stages.find((entry) => entry.stage === stage)?.[name] ?? 0))
      if (atMs / 1000 - (times.at(-1) ?? 0) < 2) return
      push(atMs, stages)
      plotPlace.setAttribute('aria-label', text.latency.plot(milliseconds(sums.at(-1)!.at(-1)!)))
      draw()
    },
  }
}
