/**
 * What training tools do to pictures, as alternatives to what was assumed: order of the channels, range of the pixels, crop,
 * size; and what could be wrong behind the model: the order of the labels and the function that makes scores.
 */
import type { ScoreActivation } from '../decision/prediction.js'
import { torchvision, type Manifest } from '../model/metadata/schema.js'
import type { PreprocessSpec, ResizeMode, Triple } from '../pixels/spec.js'
import type { InputSize } from '../tensor.js'

/** One difference from what was assumed. */
export interface Change {
  readonly aspect: 'colour' | 'scale' | 'crop' | 'size' | 'labels' | 'scores'
  /** What it is, as a noun: `BGR`. */
  readonly what: string
  /** The manifest's fields that say it; null where a manifest cannot. */
  readonly manifest: Partial<Manifest> | null
}

/** One way to prepare pictures. */
export interface Look {
  readonly changes: readonly Change[]
  readonly view: Partial<PreprocessSpec>
  /** The size at which the model is opened for it; absent: the assumed one. */
  readonly size?: InputSize
}

interface Choice<T> {
  readonly what: string
  readonly value: T
}

const same = (value: number): Triple => [value, value, value]

interface Scale {
  readonly mean: Triple
  readonly std: Triple
}

const scales: readonly Choice<Scale>[] = [
  { what: 'pixels from 0 to 1', value: { mean: same(0), std: same(255) } },
  { what: 'pixels from -1 to 1', value: { mean: same(127.5), std: same(127.5) } },
  { what: 'pixels from 0 to 255', value: { mean: same(0), std: same(1) } },
  { what: 'mean and std of torchvision', value: torchvision },
]
/** Caffe takes the mean colour of ImageNet off, in the order of the channels. */
const caffe = { rgb: [123.68, 116.779, 103.939], bgr: [103.939, 116.779, 123.68] } as const

const crops: readonly Choice<ResizeMode>[] = [
  { what: 'the centre square (cover)', value: 'cover' },
  { what: 'the whole picture squeezed (stretch)', value: 'stretch' },
  { what: 'the whole picture with bars (contain)', value: 'contain' },
]

/** The part of a picture that "resize to 256, crop 224" keeps of its centre square; a camera's roi says it. */
export const innerRegion = { x: 0.0625, y: 0.0625, width: 0.875, height: 0.875 } as const
const innerCrop = 'the middle 87.5 % of the centre square (resize 256, crop 224)'

/** All ways to prepare pictures for an input of this spec, the assumed one first. `isGrey`: the input has one channel. */
export function looksOf(spec: PreprocessSpec, isGrey: boolean): readonly Look[] {
  const looks = coloursOf(spec, isGrey).flatMap((colour) =>
    scalesOf(spec, colour.view.order ?? spec.order).flatMap((scale) =>
      cropsOf(spec).map((crop) => ({
        changes: [...colour.changes, ...scale.changes, ...crop.changes],
        view: { ...colour.view, ...scale.view, ...crop.view },
      })),
    ),
  )
  return looks.sort((a, b) => a.changes.length - b.changes.length)
}

const unchanged: Look = { changes: [], view: {} }

function coloursOf({ order }: PreprocessSpec, isGrey: boolean): readonly Look[] {
  if (isGrey) return [unchanged]
  const other = order === 'rgb' ? 'bgr' : 'rgb'
  const change = { aspect: 'colour', what: other.toUpperCase(), manifest: { colorOrder: other } } as const
  return [unchanged, { changes: [change], view: { order: other } }]
}

/** An input of bytes has no scale. */
function scalesOf(spec: PreprocessSpec, order: 'rgb' | 'bgr'): readonly Look[] {
  if (spec.type === 'uint8') return [unchanged]
  const all = [...scales, { what: 'the mean colour taken off (caffe)', value: { mean: caffe[order], std: same(1) } }]
  const others = all.filter(({ value }) => !isEqual(value.mean, spec.mean) || !isEqual(value.std, spec.std))
  return [
    unchanged,
    ...others.map(({ what, value: { mean, std } }): Look => {
      const manifest = { mean: [...mean] as [number, number, number], std: [...std] as [number, number, number] }
      return { changes: [{ aspect: 'scale', what, manifest }], view: { mean, std } }
    }),
  ]
}

const isEqual = (a: Triple, b: Triple): boolean => a.every((value, i) => value === b[i])

function cropsOf({ resize }: PreprocessSpec): readonly Look[] {
  const others = crops.filter(({ value }) => value !== resize)
  return [
    unchanged,
    ...others.map(
      ({ what, value }): Look => ({
        changes: [{ aspect: 'crop', what, manifest: { resize: value } }],
        view: { resize: value },
      }),
    ),
    { changes: [{ aspect: 'crop', what: innerCrop, manifest: null }], view: { resize: 'cover', roi: innerRegion } },
  ]
}

/** The sides at which image networks are trained, in pixels. */
const sides = [96, 128, 160, 192, 224, 240, 256, 260, 288, 299, 300, 320, 380, 384]

/** Every usual size but the assumed one, for a model whose file leaves its size free. */
export function sizesBeside({ width, height }: PreprocessSpec): readonly InputSize[] {
  return sides.filter((side) => side !== width || side !== height).map((side) => ({ width: side, height: side }))
}

/** A way with pictures of another size. */
export function sizedLook({ changes, view }: Look, size: InputSize): Look {
  const { width, height } = size
  const manifest: Change['manifest'] = { inputSize: [height, width] }
  return { changes: [...changes, { aspect: 'size', what: `pictures of ${height}x${width}`, manifest }], view, size }
}

/** A function that makes scores of outputs. */
export interface Ending {
  readonly changes: readonly Change[]
  readonly activation: ScoreActivation
}

/** What may make scores of the outputs, the assumed function first. */
export function endingsOf(assumed: ScoreActivation): readonly Ending[] {
  const others = (['softmax', 'sigmoid', 'none'] as const).filter((each) => each !== assumed)
  return [
    { changes: [], activation: assumed },
    ...others.map(
      (activation): Ending => ({
        activation,
        changes: [
          {
            aspect: 'scores',
            what: activation === 'none' ? 'outputs that are scores already' : activation,
            manifest: { scores: activation },
          },
        ],
      }),
    ),
  ]
}

/** An order of the labels: `labels[i]` is the label of output i, as an index into the assumed labels. */
export interface Order {
  readonly changes: readonly Change[]
  readonly labels: readonly number[]
}

/** Orders in which tools write labels, the assumed one first. */
export function ordersOf(labels: readonly string[]): readonly Order[] {
  const indices = labels.map((_, i) => i)
  const by = (compare: (a: string, b: string) => number): number[] =>
    indices.toSorted((a, b) => compare(labels[a]!, labels[b]!))
  const text = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
  const turned = (by: number): number[] => indices.map((i) => (i + by + labels.length) % labels.length)
  const orders: [string, number[]][] = [
    ['labels in the order of the alphabet', by(text)],
    [
      'labels in the order of the alphabet, capitals and small letters alike',
      by((a, b) => text(a.toLowerCase(), b.toLowerCase())),
    ],
    [
      'labels in the order of their numbers as texts (0, 1, 10, 11, 2)',
      indices.toSorted((a, b) => text(String(a), String(b))),
    ],
    ['labels one place later', turned(-1)],
    ['labels one place earlier', turned(1)],
    ['labels in reverse', indices.toReversed()],
  ]
  const known = new Set([indices.join()])
  const others = orders.filter(([, order]) => !known.has(order.join()) && known.add(order.join()))
  return [{ changes: [], labels: indices }, ...others.map(([what, order]) => orderOf(what, order, labels))]
}

/** A change to this order of the labels. */
export function orderOf(what: string, order: readonly number[], labels: readonly string[]): Order {
  return { labels: order, changes: [{ aspect: 'labels', what, manifest: { labels: order.map((i) => labels[i]!) } }] }
}
