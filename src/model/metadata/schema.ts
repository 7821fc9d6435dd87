/**
 * The form of a model's manifest: which fields it has and what values they take. Every field is optional. Readers of
 * manifests and of exporters' metadata share these types; nothing here reads a file.
 */
import { z } from 'zod'
import { tasks } from '../../decision/task.js'
import { detectOverrides } from './detect.js'
import { segmentOverrides } from './segment.js'
import { videoOverrides } from './video.js'

/** One number for each of the three channels; a list of one number holds for all. */
export const perChannel = z.union(
  [
    z.tuple([z.number(), z.number(), z.number()]),
    z.tuple([z.number()]).transform(([value]): [number, number, number] => [value, value, value]),
  ],
  'must be a list of three numbers, one for each channel, or of one for all',
)

/** Checks a parsed manifest. An unknown field is an error, because it is most likely a misspelled one. */
export const manifestSchema = z.strictObject({
  version: z.coerce.string().optional().describe("version of the model, in the maker's own counting"),
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
    .describe('[height, width] if the model leaves them free'),
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
  fill: perChannel.optional().describe('RGB levels of the bars of contain; default black'),
  task: z.enum(tasks).optional().describe('what the network does; default what its outputs show, see docs/tasks.md'),
  detect: detectOverrides.optional().describe('how the outputs of a detector are laid out; see docs/detect.md'),
  segment: segmentOverrides.optional().describe('how the output of a segmenter is laid out; see docs/segment.md'),
  video: videoOverrides.optional().describe('how the network takes clips; see docs/video.md'),
  scores: z
    .enum(['softmax', 'sigmoid', 'none'])
    .optional()
    .describe('what turns the outputs into scores; none if the model already ends in scores'),
  output: z.string().min(1).optional().describe('the output, or an inner value, with one number for each class'),
  novelty: z
    .strictObject({
      output: z.string().min(1),
      distance: z.number(),
      sight: z.array(z.tuple([z.number(), z.number()])).length(3),
    })
    .optional()
    .describe('limits beyond which a picture is none of the taught states; gapcam teach writes them'),
  embedding: z
    .strictObject({ output: z.string().min(1), distance: z.number().gt(0).lt(2) })
    .optional()
    .describe(
      "the value that is a picture's vector, and the cosine distance up to which two pictures show the same; for galleries",
    ),
})

/** What a manifest says about its model. */
export type Manifest = z.infer<typeof manifestSchema>

/** torchvision's means and deviations in bytes: the most common training recipe, used if nothing else is known. */
export const torchvision = { mean: [123.675, 116.28, 103.53], std: [58.395, 57.12, 57.375] } as const

/** What a model file or its exporter's files say about pixels and labels. It fills the gaps of a manifest. */
export interface Recipe {
  readonly mean?: Manifest['mean']
  readonly std?: Manifest['std']
  readonly inputSize?: Manifest['inputSize']
  readonly colorOrder?: Manifest['colorOrder']
  readonly resize?: Manifest['resize']
  readonly labels?: readonly string[] | undefined
  /** The classes are independent: logits become scores by a sigmoid. */
  readonly isMultiLabel?: boolean | undefined
}

/** A model's path without its ending: files beside the model have this name with endings of their own. */
export function modelStem(path: string): string {
  return path.replace(/\.(onnx|tflite|zip)$/i, '')
}

/** Where a model's manifest may lie, in order of precedence. */
export const manifestFiles = (model: string): readonly string[] =>
  ['yaml', 'yml', 'json'].map((ending) => `${modelStem(model)}.${ending}`)

/** Files that Hugging Face's exporters write beside a model. */
export const huggingFaceFiles = ['config.json', 'preprocessor_config.json'] as const

/** The metadata entry that holds a manifest as JSON: models that gapcam writes carry theirs. */
export const manifestKey = 'gapcam.manifest'

/** Metadata for a model file that is to carry its manifest. */
export function manifestMetadata(manifest: Manifest): ReadonlyMap<string, string> {
  return new Map([[manifestKey, JSON.stringify(manifest)]])
}
