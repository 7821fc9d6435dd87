/**
 * The manifest beside a model (`NAME.yaml`, `.yml` or `.json` for `NAME.onnx`): what an ONNX file cannot say about
 * its input and its labels. Every field is optional; what is missing is inferred, or assumed and reported as such.
 */
import { readFile } from 'node:fs/promises'
import { parse } from 'yaml'
import { z } from 'zod'
import { GapcamError, messageOf } from '../../errors.js'
import type { LoadedModel } from '../onnx/onnx.js'
import { readHuggingFace } from './hugging-face.js'
import { recipeOf } from './recipe.js'

const perChannel = z.tuple([z.number(), z.number(), z.number()])

export const manifestSchema = z.strictObject({
  version: z.coerce.string().optional().describe('version of the model, as its maker counts'),
  sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/)
    .optional()
    .describe('digest of the model file and its external data; a difference is an error'),
  labels: z
    .union([z.string(), z.array(z.string())])
    .optional()
    .describe('a label file beside the model, or the labels themselves'),
  inputSize: z
    .tuple([z.int().min(1), z.int().min(1)])
    .optional()
    .describe('[height, width] where the model leaves them free'),
  layout: z.enum(['nchw', 'nhwc']).optional().describe('order of the input dimensions'),
  colorOrder: z.enum(['rgb', 'bgr']).optional().describe('order of the channels'),
  mean: perChannel.optional().describe('subtracted from each byte (0 to 255), per channel'),
  std: perChannel
    .refine((std) => std.every((v) => v !== 0), 'must not be 0')
    .optional()
    .describe('divides the difference, per channel'),
  resize: z
    .enum(['cover', 'stretch', 'contain'])
    .optional()
    .describe('centre square, whole frame squeezed, or whole frame with bars'),
  scores: z
    .enum(['softmax', 'sigmoid', 'none'])
    .optional()
    .describe('what turns the outputs into scores; none where the model already ends in one'),
})
export type Manifest = z.infer<typeof manifestSchema>

/** torchvision's means and deviations, in bytes: the commonest training recipe, used when nothing else is known. */
export const torchvision = { mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375] } as const

/** Preprocessing of well-known files by digest, so that they work without a manifest. */
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
  /** What the manifest says, and where it is silent what its exporter wrote beside the model or into it. */
  readonly manifest: Manifest
  /** Labels that the exporter wrote; they come after those of a label file. */
  readonly ownLabels: readonly string[] | null
}

/** Finds and checks the manifest of a model. Throws MANIFEST_INVALID, or MODEL_INVALID where the digest differs. */
export async function findManifest(model: LoadedModel): Promise<FoundManifest> {
  const { labels, ...pixels } = { ...recipeOf(model.graph, model.metadata), ...(await readHuggingFace(model.path)) }
  const manifest = await readManifest(model.path, model.sha256)
  return { manifest: { ...pixels, ...manifest }, ownLabels: labels ?? null }
}

async function readManifest(modelPath: string, sha256: string): Promise<Manifest> {
  const base = modelPath.replace(/\.onnx$/i, '')
  for (const file of [`${base}.yaml`, `${base}.yml`, `${base}.json`]) {
    const text = await readOptional(file)
    if (text === null) continue
    const manifest = parseManifest(text, file)
    if (manifest.sha256 !== undefined && manifest.sha256 !== sha256) {
      throw new GapcamError(
        'MODEL_INVALID',
        `model ${modelPath}: its sha256 is ${sha256}, but ${file} says ${manifest.sha256}`,
      )
    }
    return manifest
  }
  return knownModels[sha256] ?? {}
}

/** Parses a manifest's text; `file` is for the sentence when it is wrong. */
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
    throw new GapcamError('MANIFEST_INVALID', `manifest ${file} cannot be read: ${messageOf(error)}`)
  }
}
