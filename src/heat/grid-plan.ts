/** Finds the taught head of a graph that `gapcam teach` wrote, and what an engine must return for its heat maps. */
import type { Engine } from '../engine/engine.js'
import type { Graph } from '../model/graph.js'
import { createGridHeat, gridNames, type GridPart } from './grid.js'
import type { FeatureMap, Heat } from './map.js'

/** What heat maps of a taught head need. */
export interface GridPlan {
  readonly grid: readonly {
    readonly map: string
    readonly layout: 'nchw' | 'nhwc'
    /** Null for the mean of the map. */
    readonly shares: Float32Array | null
    readonly mean: Float32Array
    readonly weights: Float32Array
    readonly pooled: string
  }[]
  readonly classes: number
  /** The engine must be opened with these. */
  readonly extraOutputs: readonly string[]
}

/** The plan of a taught graph; null for any other. */
export function planGrid({ nodes, constants }: Graph, classes: number): GridPlan | null {
  const floats = (name: string): Float32Array | null => {
    const constant = constants.get(name)
    return constant?.type === 'float32' ? new Float32Array(constant.bytes.slice().buffer) : null
  }
  const weights = floats(gridNames.weights)
  if (!weights) return null
  const madeBy = new Map(nodes.flatMap((node) => node.outputs.map((output) => [output, node] as const)))
  const grid: GridPlan['grid'][number][] = []
  let start = 0
  for (let i = 0; ; i++) {
    const [mean, shares] = [floats(gridNames.mean(i)), floats(gridNames.cells(i))]
    const source = madeBy.get(shares ? gridNames.rows(i) : gridNames.pooled(i))
    if (!mean || !source) break
    const [from = ''] = source.inputs
    const turned = madeBy.get(from)
    const isTurned = turned?.op === 'Transpose' && from.startsWith('gapcam.')
    // The mean takes a map with its channels first, as the files of the first gapcam 0.1.0 have all of them: [channels, places]
    // by [places, cells].
    const isChannelsFirst = !shares || madeBy.get(gridNames.binned(i))?.inputs[0] === gridNames.rows(i)
    const end = start + mean.length * classes
    grid.push({
      map: isTurned ? turned.inputs[0]! : from,
      layout: isTurned === isChannelsFirst ? 'nhwc' : 'nchw',
      shares: shares && isChannelsFirst ? cellsFirst(shares, constants.get(gridNames.cells(i))!.shape) : shares,
      mean,
      weights: weights.subarray(start, end),
      pooled: gridNames.part(i),
    })
    start = end
  }
  if (grid.length === 0 || start !== weights.length) return null
  const extraOutputs = [...new Set(grid.flatMap(({ map, pooled }) => [map, pooled]))]
  return { grid, classes, extraOutputs }
}

/** Shares [places, cells] as [cells, places]. */
function cellsFirst(shares: Float32Array, [places = 0, cells = 0]: readonly number[]): Float32Array {
  return shares.map((_, i) => shares[(i % places) * cells + Math.floor(i / places)]!)
}

/** The heat source of an engine that was opened with the plan's extra outputs. */
export function gridHeatOf({ grid, classes }: GridPlan, engine: Engine): Heat {
  const parts: GridPart[] = []
  for (const { map: name, layout, pooled, shares, ...rest } of grid) {
    const map = featureMapOf(engine, name, layout)
    const vector = engine.outputs.find((output) => output.name === pooled)?.data
    if (!map || !(vector instanceof Float32Array) || vector.length !== rest.mean.length)
      return { reason: `the engine does not output the feature map ${name}` }
    const places = map.width * map.height
    parts.push({ ...rest, shares: shares ?? new Float32Array(places).fill(1 / places), map, pooled: vector })
  }
  return { heat: createGridHeat(parts, classes) }
}

/** A feature map among an engine's outputs; null where it is none. */
export function featureMapOf(engine: Engine, name: string, layout: 'nchw' | 'nhwc'): FeatureMap | null {
  const map = engine.outputs.find((output) => output.name === name)
  if (map?.type !== 'float32' || map.shape.length !== 4 || map.shape[0] !== 1) return null
  const isNhwc = !map.inFileOrder || layout === 'nhwc'
  const [, a = 0, b = 0, c = 0] = map.shape
  const [height, width, channels] = isNhwc ? [a, b, c] : [b, c, a]
  return { data: map.data as Float32Array, width, height, channels, isNhwc }
}
