/** A plot of stacked areas over time: the medians of the stages. It draws itself again after a change of size or theme. */
import uPlot from 'uplot'
import { el } from './dom.js'

export interface StackedPlot {
  readonly element: HTMLElement
  /** Times in seconds, and for each series the running sums at these times: the first, the first two, … */
  draw(times: number[], sums: number[][]): void
}

const height = 150

/** A plot of these series, from the bottom up. The colour of a series is the CSS variable of its name. */
export function createStackedPlot(series: readonly string[]): StackedPlot {
  const element = el('div', { class: 'plot', role: 'img' })
  let plot: uPlot | null = null
  let data: uPlot.AlignedData = [[], ...series.map(() => [])]

  function draw(): void {
    if (element.clientWidth === 0) return
    if (plot) plot.setData(data)
    else plot = new uPlot({ width: element.clientWidth, height, ...optionsOf(series) }, data, element)
  }

  new ResizeObserver(() => {
    if (plot && plot.width !== element.clientWidth) plot.setSize({ width: element.clientWidth, height })
    else draw()
  }).observe(element)
  matchMedia('(prefers-color-scheme: light)').addEventListener('change', () => {
    plot?.destroy()
    plot = null
    draw()
  })

  return {
    element,
    draw(times, sums) {
      // The highest sum is drawn first, the lower ones over it.
      data = [times, ...[...sums].reverse()]
      draw()
    },
  }
}

function optionsOf(series: readonly string[]): Omit<uPlot.Options, 'width' | 'height'> {
  const color = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim()
  const axis = {
    stroke: color('--muted'),
    grid: { stroke: color('--line'), width: 1 },
    ticks: { show: false },
    font: '11px system-ui, sans-serif',
  }
  return {
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
      ...[...series].reverse().map((name) => ({
        fill: color(`--${name}`),
        stroke: color('--surface'),
        width: 1,
        points: { show: false },
      })),
    ],
  }
}
