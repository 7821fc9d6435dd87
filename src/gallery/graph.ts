/** The nodes that a gallery adds to a network: the vector of a picture, its cosine to each name, and the distance to the nearest one. */
import { withoutDeadNodes, type Graph, type Value } from '../model/graph.js'
import type { FeatureMap } from '../teach/backbone.js'
import { GraphBuilder } from '../teach/graph-builder.js'

/** Names of the values that the added nodes make. */
export const galleryValues = { raw: 'gapcam.raw', logits: 'gapcam.logits', novelty: 'gapcam.novelty' } as const

/** What becomes the vector: a value of the network [1, length], or the means of feature maps. */
export type VectorSource =
  | { readonly value: string; readonly length: number }
  | { readonly maps: readonly FeatureMap[] }

/** Numbers of each part of the vector. */
export function partLengths(source: VectorSource): readonly number[] {
  return 'maps' in source ? source.maps.map(({ channels }) => channels) : [source.length]
}

/** Names with their vectors, ready for the graph. */
export interface GalleryHead {
  /** Subtracted from the raw vector. */
  readonly mean: Float32Array
  /** Unit vectors of each name; at least one name, and at least one vector of each. */
  readonly vectors: readonly (readonly Float32Array[])[]
  readonly threshold: number
  readonly scale: number
}

/** The network with the raw vector [1, n] as a further output. */
export function withRaw(graph: Graph, source: VectorSource): Graph {
  const builder = new Builder(graph)
  builder.add('Concat', builder.parts(source), galleryValues.raw, { axis: 1 })
  const length = partLengths(source).reduce((sum, part) => sum + part, 0)
  const raw: Value = { name: galleryValues.raw, type: 'float32', shape: [1, length] }
  return { ...builder.graph(), outputs: [...graph.outputs, raw] }
}

/** The network that ends in a number for each name [1, names] and in [1, 4]: the distance to the nearest picture and zeros. */
export function withGallery(graph: Graph, source: VectorSource, head: GalleryHead): Graph {
  const builder = new Builder(graph)
  const names = head.vectors.length
  const cosines = builder.cosines(source, head)
  const above = builder.add('Sub', [cosines, builder.floats('threshold', [1], [head.threshold])], 'gapcam.above')
  builder.add('Mul', [above, builder.floats('scale', [1], [head.scale])], galleryValues.logits)
  const nearest = builder.add('ReduceMax', [cosines], 'gapcam.nearest', { keepdims: 1 })
  const distance = builder.add('Sub', [builder.floats('one', [1], [1]), nearest], 'gapcam.distance')
  builder.add('MatMul', [distance, builder.floats('first', [1, 4], [1, 0, 0, 0])], galleryValues.novelty)
  return withoutDeadNodes({
    ...builder.graph(),
    outputs: [
      { name: galleryValues.logits, type: 'float32', shape: [1, names] },
      { name: galleryValues.novelty, type: 'float32', shape: [1, 4] },
    ],
  })
}

class Builder extends GraphBuilder {
  /** The parts of the raw vector, each [1, n]. */
  parts(source: VectorSource): readonly string[] {
    if (!('maps' in source)) return [this.shaped(source.value, [1, source.length], 'gapcam.part 0')]
    return source.maps.map((map, i) => this.mean(map, i, `gapcam.part ${i}`))
  }

  /** Cosine of the nearest picture of each name, [1, names]. */
  cosines(source: VectorSource, { mean, vectors }: GalleryHead): string {
    const lengths = partLengths(source)
    const units = this.units(this.parts(source), lengths, mean)
    const joined = this.add('Concat', units, 'gapcam.vector', { axis: 1 })
    const most = Math.max(...vectors.map(({ length }) => length))
    const all = this.add(
      'MatMul',
      [joined, this.floats('vectors', [mean.length, vectors.length * most], columnsOf(vectors, most, units.length))],
      'gapcam.cosines of pictures',
    )
    const planes = this.shaped(all, [1, vectors.length, 1, most], 'gapcam.cosines by name')
    return this.shaped(this.add('GlobalMaxPool', [planes], 'gapcam.best'), [1, vectors.length], 'gapcam.cosines')
  }
}

/** [length, names · most]; a name with fewer pictures repeats its first. The parts of a joined vector have length 1 each. */
function columnsOf(vectors: GalleryHead['vectors'], most: number, parts: number): Float32Array {
  const columns = vectors.flatMap((own) => Array.from({ length: most }, (_, k) => own[k] ?? own[0]!))
  const length = columns[0]!.length
  const data = new Float32Array(length * columns.length)
  columns.forEach((column, c) => {
    for (let i = 0; i < length; i++) data[i * columns.length + c] = column[i]! / Math.sqrt(parts)
  })
  return data
}
