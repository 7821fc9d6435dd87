/** Where a classifier's labels come from: the option, the manifest, a file beside the model, the exporter. */
import { existsSync } from 'node:fs'
import { basename, dirname, join, resolve } from 'node:path'
import { GapcamError } from '../errors.js'
import { countsNone, fitLabels, readLabels } from '../model/metadata/labels.js'
import { modelStem } from '../model/metadata/schema.js'
import type { FoundManifest } from '../model/metadata/manifest.js'

/** Labels that were found before the model's outputs were known. */
export interface GivenLabels {
  readonly labels: readonly string[]
  /** What gave them, for a sentence. */
  readonly origin: string
  /** They were named for this model: a wrong number is an error, not the sign of a file about something else. */
  readonly isNamed: boolean
}

/** Files beside a model that may be labels, in order of precedence; the ones after the first may be notes. */
export function labelFilesBeside(model: string): readonly { readonly file: string; readonly isNamed: boolean }[] {
  const base = modelStem(model)
  const folder = dirname(model)
  return [
    { file: `${base}.labels.txt`, isNamed: true },
    { file: `${base}.txt`, isNamed: false },
    ...['labels.txt', 'labelmap.txt', 'classes.txt', 'class_names.txt', 'dict.txt', 'labels.json', 'classes.json'].map(
      (name) => ({
        file: join(folder, name),
        isNamed: false,
      }),
    ),
  ]
}

/** The labels that are named or lie beside the model; null without any. Rejects with LABELS_MISMATCH. */
export async function findLabels(
  { model, labels }: { readonly model: string; readonly labels?: string | undefined },
  { manifest }: Pick<FoundManifest, 'manifest'>,
): Promise<GivenLabels | null> {
  if (labels !== undefined) return { labels: await readLabels(labels), origin: labels, isNamed: true }
  if (Array.isArray(manifest.labels)) return { labels: manifest.labels, origin: 'the manifest', isNamed: true }
  if (typeof manifest.labels === 'string') {
    const file = resolve(dirname(model), manifest.labels)
    return { labels: await readLabels(file), origin: file, isNamed: true }
  }
  const found = labelFilesBeside(model).find(({ file }) => existsSync(file))
  if (!found) return null
  try {
    return { labels: await readLabels(found.file), origin: found.file, isNamed: found.isNamed }
  } catch (error) {
    if (found.isNamed || !(error instanceof GapcamError)) throw error
    return { labels: [], origin: found.file, isNamed: false }
  }
}

/**
 * The labels of a model with so many outputs, and sentences about files that were not used. Throws LABELS_MISMATCH if
 * named labels do not fit; labels of an exporter and notes beside the model are ignored then.
 */
export function labelsFor(
  given: GivenLabels | null,
  own: readonly string[] | null,
  count: number,
): { readonly labels: readonly string[]; readonly notices: readonly string[]; readonly origin: string } {
  const doesFit = (labels: readonly string[] | null): boolean =>
    labels !== null && (labels.length === count || (labels.length === 2 && count === 1) || countsNone(labels, count))
  if (given && (given.isNamed || doesFit(given.labels)))
    return { labels: fitLabels(given.labels, count, given.origin), notices: [], origin: given.origin }
  const notices = given ? [`${basename(given.origin)} beside the model does not hold ${count} labels: ignored`] : []
  const labels = fitLabels(doesFit(own) ? own : null, count, 'the model')
  return { labels, notices, origin: doesFit(own) ? 'the model file' : 'none found: classes are numbered' }
}
