/**
 * Reads the files that Hugging Face puts beside an exported image classifier: preprocessor_config.json holds scaling and
 * size of the pictures, config.json the labels. Files of another form are ignored.
 */
import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { z } from 'zod'
import { perChannel, type Recipe } from './schema.js'

const side = z.int().min(1)
const size = z.union([z.object({ height: side, width: side }), z.object({ shortest_edge: side }), side])

const preprocessorSchema = z.object({
  image_mean: perChannel,
  image_std: perChannel.refine((std) => std.every((v) => v !== 0)),
  rescale_factor: z
    .number()
    .positive()
    .default(1 / 255),
  do_normalize: z.boolean().default(true),
  do_center_crop: z.boolean().default(false),
  size: size.optional(),
  crop_size: size.optional(),
})
const configSchema = z.object({ id2label: z.record(z.string().regex(/^\d+$/), z.string().min(1)) })

/** Reads the files beside a model; empty if preprocessor_config.json is missing or does not describe an image classifier. */
export async function readHuggingFace(modelPath: string): Promise<Recipe> {
  const folder = dirname(modelPath)
  const found = preprocessorSchema.safeParse(await readJson(join(folder, 'preprocessor_config.json')))
  if (!found.success) return {}
  const { image_mean, image_std, rescale_factor, do_normalize, do_center_crop, size, crop_size } = found.data
  const inBytes = ([a, b, c]: z.infer<typeof perChannel>): [number, number, number] => [
    a / rescale_factor,
    b / rescale_factor,
    c / rescale_factor,
  ]
  const inputSize = sidesOf((do_center_crop ? crop_size : undefined) ?? size)
  const labels = await labelsIn(join(folder, 'config.json'))
  return {
    mean: do_normalize ? inBytes(image_mean) : [0, 0, 0],
    std: do_normalize ? inBytes(image_std) : inBytes([1, 1, 1]),
    ...(inputSize ? { inputSize } : {}),
    ...(labels ? { labels } : {}),
    // Without a crop both sides are resized to the given size, and proportions are not kept.
    ...(!do_center_crop && typeof size === 'object' && 'height' in size ? ({ resize: 'stretch' } as const) : {}),
  }
}

function sidesOf(given: z.infer<typeof size> | undefined): [number, number] | null {
  if (given === undefined) return null
  if (typeof given === 'number') return [given, given]
  return 'height' in given ? [given.height, given.width] : [given.shortest_edge, given.shortest_edge]
}

/** The labels in the order of their numbers; null if a number is missing. */
async function labelsIn(file: string): Promise<string[] | null> {
  const config = configSchema.safeParse(await readJson(file))
  if (!config.success) return null
  const { id2label } = config.data
  const labels = Object.keys(id2label).map((_, i) => id2label[i])
  return labels.every((label) => label !== undefined) ? labels : null
}

async function readJson(file: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(file, 'utf8'))
  } catch {
    return null
  }
}
