/**
 * Finds the manifest beside a model (`NAME.yaml`, `.yml` or `.json` for `NAME.onnx`), which says what an ONNX file cannot:
 * pixels and labels. Missing fields come from known digests, from the exporter's files beside the model, and from the
 * model's own metadata, in this order.
 */
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import { parse } from 'yaml'
import { fileFaultOf, GapcamError, messageOf } from '../../errors.js'
import type { LoadedModel } from '../onnx/onnx.js'
import { readHuggingFace } from './hugging-face.js'
import { exporterRecipe, teachableMachine } from './exporters.js'
import { inputRange } from './input-range.js'
import { recipeOf } from './recipe.js'
import { manifestFiles, manifestKey, manifestSchema, type Manifest } from './schema.js'

/** Preprocessing of well-known files by digest: they work without a manifest. */
const knownModels: Readonly<Record<string, Manifest>> = {
  // efficientnet-lite0.onnx and its QDQ twin, mobilenet-v2.onnx: as published with their weights
  '6767f5e4de88f48403b19d86c2d1092e24d0d1e059603a1ddb0d543938af33c3': {
    inputSize: [224, 224],
    mean: [127, 127, 127],
    std: [128, 128, 128],
  },
  '75db3c6be355f889240aed5c76ea156c6e6c19c0014efd434e5988b561250430': { mean: [127, 127, 127], std: [128, 128, 128] },
  fabd88cabd21f26e7f1d4651acea20a13c72def7d568ca5ebc7800aedae93a45: { mean: [128, 128, 128], std: [128, 128, 128] },
}

export interface FoundManifest {
  /** The manifest, completed by what the exporter wrote beside the model or into it. */
  readonly manifest: Manifest
  /** Labels that the exporter wrote. A label file has precedence. */
  readonly ownLabels: readonly string[] | null
  /** The exporter says that classes are independent: logits become scores by a sigmoid. */
  readonly isMultiLabel: boolean
  /** Sentences about files beside the model that were not used, and about guesses. */
  readonly notices: readonly string[]
  /** Where each field of the manifest comes from, as a noun: `the manifest model.yaml`, `a known digest`. */
  readonly origins: Origins
}

type Origins = Readonly<Partial<Record<keyof Manifest, string>>>

/**
 * Finds and checks the manifest of a model. Rejects with MANIFEST_INVALID, or MODEL_INVALID if the digest differs.
 *
 *     const { manifest, ownLabels } = await findManifest(await loadModel('model.onnx'))
 */
export async function findManifest(model: LoadedModel): Promise<FoundManifest> {
  const { mean, std } = teachableMachine(model.path, model.graph)
  const [inFront, beside] = [recipeOf(model.graph, model.metadata), await readHuggingFace(model.path)]
  const seen = inputRange(model.graph)
  const { labels, isMultiLabel, ...pixels } = { ...seen?.recipe, ...inFront, ...beside }
  const { manifest, notices, origin } = await readManifest(model.path, model.sha256)
  const inside = manifestInside(model)
  const detect = inside.detect || manifest.detect ? { detect: { ...inside.detect, ...manifest.detect } } : {}
  const known = { ...pixels, ...inside, ...manifest, ...detect }
  const isGuess = mean !== undefined && known.mean === undefined
  const isSeen = seen !== null && seen.notice !== null && !isGuess && known.mean === seen.recipe.mean
  const isAssumed = (model.assumed?.length ?? 0) > 0
  return {
    manifest: isGuess ? { ...known, mean, std } : known,
    ownLabels: labels ?? null,
    isMultiLabel: isMultiLabel === true,
    notices: [
      ...notices,
      ...(isGuess ? ['pixels from -1 to 1: names in the file look like Teachable Machine'] : []),
      ...(isSeen ? [seen.notice] : []),
    ],
    origins: originsOf([
      ...(isGuess ? [[{ mean, std }, 'assumed: names in the file look like Teachable Machine'] as const] : []),
      ...(seen ? [[seen.recipe, seen.origin] as const] : []),
      [inFront, 'the arithmetic in front of the first layer'],
      [exporterRecipe(model.metadata), "the exporter's metadata in the file"],
      [beside, 'the files of Hugging Face or timm beside the model'],
      [inside, isAssumed ? 'assumed: most TFLite models take it' : 'the metadata in the file'],
      [manifest, origin],
    ]),
  }
}

/** The last of several sources that has a field is its origin. */
function originsOf(sources: readonly (readonly [fields: object, origin: string])[]): Origins {
  const entries = sources.flatMap(([fields, origin]) =>
    Object.entries(fields).flatMap(([key, value]) => (value === undefined ? [] : [[key, origin] as const])),
  )
  return Object.fromEntries(entries)
}

function manifestInside({ path, metadata }: LoadedModel): Manifest {
  const text = metadata.get(manifestKey)
  return text === undefined ? {} : parseManifest(text, `inside ${path}`)
}

async function readManifest(
  modelPath: string,
  sha256: string,
): Promise<Pick<FoundManifest, 'manifest' | 'notices'> & { readonly origin: string }> {
  const notices: string[] = []
  for (const file of manifestFiles(modelPath)) {
    const text = await readOptional(file)
    if (text === null) continue
    if (isForeign(text)) {
      notices.push(`${basename(file)} beside the model is no manifest of gapcam: ignored`)
      continue
    }
    const manifest = parseManifest(text, file)
    if (manifest.sha256 !== undefined && manifest.sha256 !== sha256) {
      throw new GapcamError(
        'MODEL_INVALID',
        `model ${modelPath}: its sha256 is ${sha256}, but ${file} says ${manifest.sha256}`,
      )
    }
    return { manifest, notices, origin: `the manifest ${basename(file)}` }
  }
  return { manifest: knownModels[sha256] ?? {}, notices, origin: 'a known digest of the file' }
}

/**
 * Whether a file belongs to another program: an object without any field of a manifest, or one that shares only `version`.
 * A field that is almost one of a manifest is a misspelled one.
 */
function isForeign(text: string): boolean {
  let data: unknown
  try {
    data = parse(text)
  } catch {
    return false
  }
  if (Array.isArray(data)) return true
  if (typeof data !== 'object' || data === null) return false
  const keys = Object.keys(data)
  const fields = Object.keys(manifestSchema.shape)
  const isKnown = keys.some((key) => key !== 'version' && fields.some((field) => isAlmost(key, field)))
  return !isKnown && keys.some((key) => key !== 'version')
}

/** Equal but for case, separators and one letter. */
function isAlmost(key: string, field: string): boolean {
  const [a, b] = [key, field].map((text) => text.toLowerCase().replace(/[^a-z0-9]/g, '')) as [string, string]
  if (a === b) return true
  let start = 0
  while (start < a.length && a[start] === b[start]) start++
  const [restA, restB] = [a.slice(start), b.slice(start)]
  const swapped = `${restA[1]}${restA[0]}${restA.slice(2)}`
  return restA.slice(1) === restB || restA === restB.slice(1) || restA.slice(1) === restB.slice(1) || swapped === restB
}

/** Parses a manifest's text; errors name `file`. Throws MANIFEST_INVALID. */
export function parseManifest(text: string, file: string): Manifest {
  let data: unknown
  try {
    data = parse(text) ?? {}
  } catch (error) {
    throw new GapcamError('MANIFEST_INVALID', `manifest ${file}: ${messageOf(error).split('\n')[0]}`)
  }
  const result = manifestSchema.safeParse(data)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const where = issue?.path.join('.') ?? ''
  throw new GapcamError(
    'MANIFEST_INVALID',
    `manifest ${file}: ${where === '' ? '' : `${where}: `}${issue?.message ?? 'not a manifest'}`,
  )
}

async function readOptional(file: string): Promise<string | null> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw new GapcamError('MANIFEST_INVALID', `manifest ${file} cannot be read: ${fileFaultOf(error)}`)
  }
}
