/** Where a classifier's size, colours, scale, crop, labels and scores come from, in words for a person who doubts them. */
import type { Graph } from '../model/graph.js'
import type { FoundManifest } from '../model/metadata/manifest.js'
import type { PictureInput } from './input.js'

/** Where each part of the way from a picture to scores comes from, as a noun; `assumed` begins what nothing says. */
export interface Origins {
  readonly size: string
  readonly colour: string
  readonly scale: string
  readonly crop: string
  readonly labels: string
  readonly scores: string
}

interface OriginParts {
  readonly options: { readonly inputSize?: unknown; readonly resize?: unknown }
  /** As the file has it. */
  readonly graph: Graph
  readonly found: Pick<FoundManifest, 'origins'>
  readonly picture: Pick<PictureInput, 'spec'>
  /** What was assumed to open the engine: a size. */
  readonly assumed: readonly string[]
  readonly labels: string
  readonly scores: string
}

const asked = 'asked for on the command line or in the configuration'

/** The origins of an opened classifier. */
export function originsOf({ options, graph, found, picture, assumed, labels, scores }: OriginParts): Origins {
  const { origins } = found
  const shape = graph.inputs[0]?.shape
  const isFixed = shape?.slice(1).every((size) => typeof size === 'number') === true
  const isLevels = picture.spec.type === 'uint8'
  return {
    size:
      options.inputSize === undefined
        ? isFixed
          ? 'the model file'
          : assumed.length > 0
            ? 'assumed: the file leaves it free'
            : (origins.inputSize ?? 'the model file')
        : asked,
    colour: origins.colorOrder ?? 'assumed: most models take RGB',
    scale: isLevels ? 'the model file: its input takes bytes' : (origins.mean ?? 'assumed: nothing says it'),
    crop: options.resize === undefined ? (origins.resize ?? 'assumed: nothing says it') : asked,
    labels,
    scores,
  }
}
