/**
 * Reads the metadata properties that trainers and exporters write into an ONNX file: Ultralytics (YOLOv5 and later),
 * Custom Vision and Windows ML, Teachable Machine, and lists of labels under the usual names. What it does not understand it leaves out.
 */
import { basename } from 'node:path'
import type { Graph } from '../graph.js'
import { fromJson } from './labels.js'
import type { Recipe } from './schema.js'

type Metadata = ReadonlyMap<string, string>

/** Pixels as bytes (0 to 255), and as shares (0 to 1). */
export const bytes = { mean: [0, 0, 0], std: [1, 1, 1] } satisfies Recipe
export const shares = { mean: [0, 0, 0], std: [255, 255, 255] } satisfies Recipe

/** What a file's properties say about pixels and labels. */
export function exporterRecipe(metadata: Metadata): Recipe {
  return { ...labelProperties(metadata), ...ultralytics(metadata), ...windowsMl(metadata) }
}

/** Labels under the names that exporters use, as a Python or JSON literal. */
function labelProperties(metadata: Metadata): Recipe {
  const task = metadata.get('task')
  if (task !== undefined && task !== 'classify' && task !== 'detect') return {}
  for (const key of ['names', 'labels', 'classes', 'class_names', 'label_names', 'id2label']) {
    const labels = literal(metadata.get(key) ?? '')
    if (labels) return { labels }
  }
  return {}
}

/** Ultralytics' networks tell their size, and its classifiers take shares (0 to 1). */
function ultralytics(metadata: Metadata): Recipe {
  if (metadata.get('author') !== 'Ultralytics') return {}
  const [height, width] = [...(metadata.get('imgsz') ?? '').matchAll(/\d+/g)].map(([digits]) => Number(digits))
  const pixels = metadata.get('task') === 'classify' ? shares : {}
  return height && width ? { ...pixels, inputSize: [height, width] } : pixels
}

/** value = (level - mean) / std of each range of pixels that ONNX's image metadata names. */
const pixelRanges: Readonly<Record<string, readonly [mean: number, std: number]>> = {
  NominalRange_0_255: [0, 1],
  Normalized_0_1: [0, 255],
  Normalized_1_1: [127.5, 127.5],
  NominalRange_16_235: [(-16 * 255) / 219, 255 / 219],
}

/** Custom Vision and Windows ML: order of the channels and range of the pixels. */
function windowsMl(metadata: Metadata): Recipe {
  const format = metadata.get('Image.BitmapPixelFormat')
  const range = metadata.get('Image.NominalPixelRange')
  if (format === undefined && range === undefined) return {}
  const [mean, std] = pixelRanges[range ?? 'NominalRange_0_255'] ?? [null, null]
  const pixels = mean === null ? {} : ({ mean: [mean, mean, mean], std: [std, std, std] } as const satisfies Recipe)
  return { ...pixels, ...(format === undefined ? {} : { colorOrder: /^bgr/i.test(format) ? 'bgr' : 'rgb' }) }
}

/** Teachable Machine exports `keras_model.h5`, whose network takes pixels from -1 to 1; converters keep the names. */
export function teachableMachine(path: string, { inputs }: Graph): Recipe {
  const isTeachable = /^keras_model/i.test(basename(path)) && /^sequential(_\d+)?_input/.test(inputs[0]?.name ?? '')
  return isTeachable ? { mean: [127.5, 127.5, 127.5], std: [127.5, 127.5, 127.5] } : {}
}

/** The labels of a literal: JSON, or a list or a dictionary of strings as Python writes them. */
function literal(text: string): string[] | null {
  const json = fromJson(text)
  if (json) return json
  const quoted = String.raw`('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")`
  const isList = /^\s*[[(]/.test(text)
  const pattern = isList ? new RegExp(`()${quoted}`, 'gs') : new RegExp(`['"]?(\\d+)['"]?\\s*:\\s*${quoted}`, 'gs')
  const entries = [...text.matchAll(pattern)]
  const counts = entries.every(([, index], i) => isList || Number(index) === i)
  return entries.length > 0 && counts ? entries.map(([, , string = '']) => unescaped(string.slice(1, -1))) : null
}

const escapes: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f', v: '\v', a: '\x07' }

/** The text behind Python's escapes: \xa0, \u00e9, \U0001f408, \n, \' and others. */
function unescaped(text: string): string {
  const pattern = /\\(?:x([\da-fA-F]{2})|u([\da-fA-F]{4})|U([\da-fA-F]{8})|(.))/gs
  return text.replace(pattern, (_, byte?: string, short?: string, long?: string, character = '') => {
    const code = byte ?? short ?? long
    if (code === undefined) return escapes[character] ?? character
    const point = Number.parseInt(code, 16)
    return point <= 0x10ffff ? String.fromCodePoint(point) : ''
  })
}
