/** `gapcam classify --heat`: draws the heat map of a class over each picture, and writes it to a file or folder. */
import { stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { RgbImage } from '../pixels/image.js'
import type { Classifier } from '../classifier.js'
import { GapcamError, writeFaultOf } from '../errors.js'
import { makeFolder } from '../folder.js'
import type { View } from '../pixels/geometry.js'
import { classOf } from '../heat/class.js'
import type { FlagValues } from './flags.js'

/** Draws heat maps as the flags demand. */
export interface HeatDrawing {
  /** Draws the heat map of the engine's last run. Resolves with the name of the file. Throws USAGE if it cannot be written. */
  draw(of: {
    readonly file: string
    readonly picture: RgbImage
    readonly view: View
    readonly best: number
    readonly scores: Float32Array
  }): Promise<string>
}

/** Null without --heat. Throws NO_HEAT_MAP, or USAGE for an unknown class or an unusable file name. */
export async function heatDrawing(
  values: FlagValues,
  classifier: Classifier,
  files: readonly string[],
): Promise<HeatDrawing | null> {
  const [target, asked] = [values['heat'] as string | undefined, values['heatClass'] as string | undefined]
  if (target === undefined) {
    if (asked !== undefined)
      throw new GapcamError('USAGE', '--heat-class needs --heat, which names the file of the heat map')
    return null
  }
  const { heat: source, labels } = classifier
  if ('reason' in source)
    throw new GapcamError('NO_HEAT_MAP', `model ${classifier.path} has no heat map: ${source.reason}`)
  const isFolder = target.endsWith('/') || ((await stat(target).catch(() => null))?.isDirectory() ?? false)
  if (!isFolder && !/\.(png|jpe?g)$/i.test(target))
    throw new GapcamError(
      'USAGE',
      `--heat: ${target} is neither an existing folder nor named .png or .jpg; to create a folder, end its name with /`,
    )
  if (!isFolder && files.length > 1)
    throw new GapcamError('USAGE', `--heat: ${files.length} pictures need a folder, but ${target} is one file`)
  const chosen = asked === undefined ? null : classOf(labels, asked)
  return {
    async draw({ file, picture, view, best, scores }) {
      const { drawHeat } = await import('../heat/overlay.js')
      const classIndex = chosen ?? best
      const path = isFolder ? join(target, `${basename(file).replace(/\.[^.]+$/, '')}.heat.png`) : target
      const { data: rgb, width, height } = picture
      const drawn = await drawHeat(
        { rgb, width, height },
        { map: source.heat(classIndex), view },
        { label: labels[classIndex]!, score: scores[classIndex]! },
        /\.png$/i.test(path) ? 'png' : 'jpeg',
      )
      try {
        if (isFolder) await makeFolder(dirname(path))
        await writeFile(path, drawn)
      } catch (error) {
        throw new GapcamError('USAGE', `--heat: ${path} cannot be written: ${writeFaultOf(error)}`, {
          hint: 'Name a file or folder that you may write.',
        })
      }
      return path
    },
  }
}
