/** Where a frame's time goes: the medians of the stages over ten minutes as a plot, and current percentiles in a table. */
import type { Sample, StageLatency } from '../messages.js'
import { el, panel, setText } from './dom.js'
import { createStackedPlot } from './latency-plot.js'
import { text } from './text.js'
import { milliseconds } from './time.js'

export interface LatencyPanel {
  readonly element: HTMLElement
  /** Replaces the history. */
  set(samples: readonly Sample[]): void
  /** The current percentiles. */
  now(stages: readonly StageLatency[], atMs: number): void
}

const stageNames = ['capture', 'preprocess', 'infer', 'decide'] as const
const percentiles = ['p50', 'p95', 'p99'] as const
const windowS = 600
/** The plot gets one point in this time. */
const pointEveryS = 2

export function createLatency(): LatencyPanel {
  const plot = createStackedPlot(stageNames)
  const table = createTable()
  const element = panel(text.latency.title, text.latency.window, plot.element, table.element)
  const times: number[] = []
  const sums: number[][] = stageNames.map(() => [])

  function push(atMs: number, stages: readonly StageLatency[]): void {
    times.push(atMs / 1000)
    let sum = 0
    for (const [i, name] of stageNames.entries()) {
      sum += percentileOf(stages, name, 'p50')
      sums[i]!.push(sum)
    }
    while (times[0]! < times.at(-1)! - windowS) {
      times.shift()
      for (const column of sums) column.shift()
    }
  }

  return {
    element,
    set(samples) {
      times.length = 0
      for (const column of sums) column.length = 0
      for (const { atMs, stages } of samples) push(atMs, stages)
      plot.draw(times, sums)
    },
    now(stages, atMs) {
      table.update(stages)
      if (atMs / 1000 - (times.at(-1) ?? 0) < pointEveryS) return
      push(atMs, stages)
      plot.element.setAttribute('aria-label', text.latency.plot(milliseconds(sums.at(-1)!.at(-1)!)))
      plot.draw(times, sums)
    },
  }
}

function percentileOf(stages: readonly StageLatency[], name: string, percentile: (typeof percentiles)[number]): number {
  return stages.find(({ stage }) => stage === name)?.[percentile] ?? 0
}

interface Table {
  readonly element: HTMLElement
  update(stages: readonly StageLatency[]): void
}

function createTable(): Table {
  const cells = stageNames.map((stage) => percentiles.map((percentile) => ({ stage, percentile, cell: el('td') })))
  const columns = percentiles.map((name) => el('th', { scope: 'col' }, `${name} ${text.latency.unit}`))
  const head = el('thead', {}, el('tr', {}, el('th', { scope: 'col' }, text.latency.stage), ...columns))
  const rows = stageNames.map((stage, i) => {
    const dot = el('span', { class: `dot stage-${stage}`, 'aria-hidden': 'true' })
    const title = el('th', { scope: 'row' }, dot, text.latency.stages[stage])
    return el('tr', {}, title, ...cells[i]!.map(({ cell }) => cell))
  })
  return {
    element: el('table', {}, head, el('tbody', {}, ...rows)),
    update(stages) {
      for (const { stage, percentile, cell } of cells.flat())
        setText(cell, milliseconds(percentileOf(stages, stage, percentile)))
    },
  }
}
