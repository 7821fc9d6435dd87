/**
 * Reads the files that Hugging Face and timm put beside an exported image classifier, or one folder above where the model
 * lies in `onnx/`: preprocessor_config.json with scaling and size, config.json with labels, the kind of problem, and
 * timm's scaling. Files of another form are ignored.
 */
import { readFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import { z } from 'zod'
import { labelsIn } from './labels.js'
import { huggingFaceFiles, perChannel, type Recipe } from './schema.js'

const side = z.int().min(1)
const size = z.union([z.object({ height: side, width: side }), z.object({ shortest_edge: side }), side])
const deviation = perChannel.refine((std) => std.every((v) => v !== 0))

const preprocessorSchema = z
  .object({
    image_mean: perChannel.optional(),
    image_std: deviation.optional(),
    rescale_factor: z.number().positive().optional(),
    do_rescale: z.boolean().default(true),
    do_normalize: z.boolean().default(true),
    do_center_crop: z.boolean().default(false),
    size: size.optional(),
    crop_size: size.optional(),
  })
  .refine(({ image_mean, image_std, rescale_factor, do_normalize }) =>
    do_normalize ? image_mean && image_std : rescale_factor !== undefined || image_mean !== undefined,
  )

/** transformers' config.json of a classifier. */
const configSchema = z.object({
  id2label: z.record(z.string(), z.string()).optional(),
  problem_type: z.string().nullable().optional(),
  image_size: z.union([side, z.tuple([side, side])]).optional(),
})

/** timm's config.json. Means and deviations are shares of one. */
const timmSchema = z.object({
  label_names: z.array(z.string()).optional(),
  pretrained_cfg: z.object({
    mean: perChannel,
    std: deviation,
    input_size: z.tuple([side, side, side]).optional(),
    label_names: z.array(z.string()).optional(),
  }),
})

/** Reads the files beside a model; empty if there are none that describe an image classifier. */
export async function readHuggingFace(modelPath: string): Promise<Recipe> {
  const folder = dirname(resolve(modelPath))
  const config = await readBeside(folder, huggingFaceFiles[0])
  const preprocessor = await readBeside(folder, huggingFaceFiles[1])
  return { ...fromConfig(config), ...fromTimm(config), ...fromPreprocessor(preprocessor) }
}

function fromPreprocessor(data: unknown): Recipe {
  const found = preprocessorSchema.safeParse(data)
  if (!found.success) return {}
  const { image_mean, image_std, do_rescale, do_normalize, do_center_crop, size, crop_size } = found.data
  const factor = do_rescale ? (found.data.rescale_factor ?? 1 / 255) : 1
  const inBytes = ([a, b, c]: readonly [number, number, number]): [number, number, number] => [
    a / factor,
    b / factor,
    c / factor,
  ]
  const inputSize = sidesOf((do_center_crop ? crop_size : undefined) ?? size)
  // Without a crop both sides are resized to the given size, and proportions are not kept.
  const isStretched = !do_center_crop && typeof size === 'object' && 'height' in size
  return {
    mean: do_normalize ? inBytes(image_mean!) : [0, 0, 0],
    std: do_normalize ? inBytes(image_std!) : inBytes([1, 1, 1]),
    ...(inputSize ? { inputSize } : {}),
    ...(isStretched ? { resize: 'stretch' } : {}),
  }
}

function fromConfig(data: unknown): Recipe {
  const found = configSchema.safeParse(data)
  if (!found.success) return {}
  const { id2label, problem_type, image_size } = found.data
  const labels = id2label && labelsIn(id2label)
  return {
    ...(labels ? { labels } : {}),
    ...(problem_type === 'multi_label_classification' ? { isMultiLabel: true } : {}),
    ...(image_size ? { inputSize: typeof image_size === 'number' ? [image_size, image_size] : image_size } : {}),
  }
}

function fromTimm(data: unknown): Recipe {
  const found = timmSchema.safeParse(data)
  if (!found.success) return {}
  const { label_names, pretrained_cfg } = found.data
  const { mean, std, input_size, label_names: own } = pretrained_cfg
  const labels = label_names ?? own
  return {
    mean: mean.map((value) => value * 255) as [number, number, number],
    std: std.map((value) => value * 255) as [number, number, number],
    ...(input_size ? { inputSize: [input_size[1], input_size[2]] } : {}),
    ...(labels ? { labels } : {}),
  }
}

function sidesOf(given: z.infer<typeof size> | undefined): [number, number] | null {
  if (given === undefined) return null
  if (typeof given === 'number') return [given, given]
  return 'height' in given ? [given.height, given.width] : [given.shortest_edge, given.shortest_edge]
}

/** The parsed file in the folder, or, for a model in `onnx/`, in the folder above; null without a readable one. */
async function readBeside(folder: string, name: string): Promise<unknown> {
  const own = await readJson(join(folder, name))
  return own === null && basename(folder) === 'onnx' ? readJson(join(dirname(folder), name)) : own
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch {
    return null
  }
}
