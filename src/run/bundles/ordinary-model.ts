/**
 * The node's own model as the configuration asks for it. With `novelty: true` it also knows what is unlike the ordinary pictures of
 * `noveltyPictures`: such a model is made once, kept in the state directory, and made again where model or pictures changed.
 */
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { readdir, rm, stat } from 'node:fs/promises'
import { join, parse } from 'node:path'
import { picturesIn } from '../../camera/pictures.js'
import { modelOptions, type ModelOptions } from '../../config/model.js'
import type { Config } from '../../config/schema.js'
import { stateDirectory } from '../../config/state-directory.js'
import { fileFaultOf, GapcamError, writeFaultOf } from '../../errors.js'
import type { Logger } from '../../log.js'
import { writeWhole } from '../../state-file.js'
import { version } from '../../version.js'

/**
 * The options of the model. Rejects with CONFIG_INVALID for a folder without enough pictures, and with MODEL_UNSUPPORTED and
 * OUTPUT_NOT_WRITTEN.
 */
export async function ownModelOptions(config: Config, log: Pick<Logger, 'info' | 'warn'>): Promise<ModelOptions> {
  const options = modelOptions(config)
  if (!config.novelty) return options
  const folder = config.noveltyPictures
  const pictures = await ordinaryIn(folder)
  const all = join(stateDirectory(config), 'novelty')
  const key = await keyOf(options, pictures)
  const model = join(all, key, `${parse(options.model).name}.onnx`)
  if (existsSync(model)) log.info(`novelty: the limits of ${pictures.length} ordinary pictures of ${folder} are kept`)
  else {
    log.info(`novelty: looking at ${pictures.length} ordinary pictures of ${folder}`)
    const bytes = await made(options, pictures, log)
    await writeWhole(model, bytes).catch((error: unknown) => {
      throw new GapcamError('OUTPUT_NOT_WRITTEN', `${model} cannot be written: ${writeFaultOf(error)}`, {
        hint: 'Free some space on the disk of the state directory.',
      })
    })
    await removeOthers(all, key)
  }
  return { ...options, model }
}

/** Pictures of the folder; at least one. */
async function ordinaryIn(folder: string | undefined): Promise<readonly string[]> {
  const hint = 'Give a folder of 10 or more pictures as the camera usually sees them; gapcam record takes such.'
  if (folder === undefined) throw new GapcamError('CONFIG_INVALID', 'novelty needs noveltyPictures', { hint })
  const files = await picturesIn(folder).catch((error: unknown) => {
    throw new GapcamError('CONFIG_INVALID', `noveltyPictures ${folder}: ${fileFaultOf(error)}`, { hint })
  })
  if (files.length > 0) return files
  throw new GapcamError('CONFIG_INVALID', `noveltyPictures ${folder}: there are no pictures`, { hint })
}

/** What the made model depends on, as a name: the model with its manifest, how pictures become its input, and the pictures. */
async function keyOf({ model, inputSize, resize }: ModelOptions, pictures: readonly string[]): Promise<string> {
  const hash = createHash('sha256').update(JSON.stringify([version, inputSize ?? null, resize ?? null]))
  const { modelDigest } = await import('../../teach/ordinary.js')
  hash.update(await modelDigest(model))
  for (const file of pictures) {
    const { size, mtimeMs } = await stat(file).catch(() => ({ size: 0, mtimeMs: 0 }))
    hash.update(JSON.stringify([file, size, mtimeMs]))
  }
  return hash.digest('hex').slice(0, 32)
}

async function made(
  { model, threads, inputSize, resize }: ModelOptions,
  pictures: readonly string[],
  log: Pick<Logger, 'warn'>,
): Promise<Uint8Array> {
  const { withOrdinary } = await import('../../teach/ordinary.js')
  const { bytes } = await withOrdinary({
    model,
    pictures,
    resize,
    engine: { threads, inputSize },
    onBroken: ({ message }) => log.warn(`novelty: ${message}`),
  }).catch((error: unknown) => {
    // Too few pictures are a fault of the configuration here.
    if (error instanceof GapcamError && error.code === 'USAGE')
      throw new GapcamError('CONFIG_INVALID', `noveltyPictures: ${error.message}`, { hint: error.hint })
    throw error
  })
  return bytes
}

/** Models that were made of other pictures. One that cannot be removed stays. */
async function removeOthers(folder: string, key: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (name === key) continue
    await rm(join(folder, name), { recursive: true, force: true }).catch(() => undefined)
  }
}
