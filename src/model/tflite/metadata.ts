/**
 * What a .tflite file says of itself (metadata_schema.fbs of TFLite, identifier M001): the normalization of its input and the
 * labels of its output, which lie in a zip archive behind the model.
 */
import { endsWithZip, unzip } from '../archive.js'
import { Table } from './flatbuffer.js'
import type { TfliteModel } from './model.js'

export interface TfliteMetadata {
  /** `(level - mean) / std` for levels from 0 to 255, one value for all channels or one for each. */
  readonly mean?: readonly number[]
  readonly std?: readonly number[]
  /** The text of the label file. */
  readonly labels?: Uint8Array
}

const metadataName = 'TFLITE_METADATA'
/** ProcessUnitOptions.NormalizationOptions. */
const normalization = 1
/** AssociatedFileType: labels of an axis, labels of values. */
const labelFiles = [2, 3]

/** Reads the metadata of a model; `file` is the whole file. Nothing where it has none. */
export function metadataOf(model: TfliteModel, file: Uint8Array): TfliteMetadata {
  const bytes = model.metadata.get(metadataName)
  if (!bytes) return {}
  const [graph] = Table.root(bytes).tables(3)
  const [input] = graph?.tables(2) ?? []
  const outputs = graph?.tables(3) ?? []
  const unit = input?.tables(4).find((unit) => unit.byte(0) === normalization)
  const options = unit?.table(1)
  const name = outputs
    .flatMap((output) => output.tables(6))
    .find((associated) => labelFiles.includes(associated.byte(2)))
    ?.string(0)
  // A tool that writes the model anew (a quantiser) keeps the metadata and loses what was behind the model.
  const labels = name === undefined || !endsWithZip(file) ? undefined : unzip(file, (other) => other === name).get(name)
  return {
    ...(options ? { mean: options.floats(0), std: options.floats(1) } : {}),
    ...(labels ? { labels } : {}),
  }
}
