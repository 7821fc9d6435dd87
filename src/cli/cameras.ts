/**
 * `gapcam cameras`: lists the connected cameras with their formats, and says why one cannot be used. With a configuration it
 * also opens each configured camera, as `gapcam run` would, and says at which size its pictures are decoded.
 */
import type { Command } from 'commander'
import { listCsiCameras } from '../camera/find.js'
import { listV4l2Devices } from '../camera/v4l2.js'
import { openClassifier } from '../classifier.js'
import { modelOptions } from '../config/model.js'
import type { Config } from '../config/schema.js'
import { createLogger } from '../log.js'
import { decodedSizes } from '../run/decoded-sizes.js'
import { sizesInWords, type DecodedSize } from '../run/decoded-size.js'
import { configFrom, type FlagValues } from './flags.js'
import { wantsJson, writeJson } from './output.js'
import { untilSignal } from './signals.js'

interface ListedCamera {
  readonly uri: string
  readonly name: string
  readonly driver: string | null
  readonly formats: readonly { readonly format: string; readonly sizes: readonly string[] }[]
  readonly usable: boolean
  readonly problem: string | null
  readonly hint: string | null
}

/** Registers the command. */
export function camerasCommand(program: Command): void {
  program
    .command('cameras')
    .description('list the connected cameras, and say why one cannot be used')
    .option('--json', 'one JSON object per camera')
    .option('--config <file>', 'YAML file with the configuration: its cameras are opened too')
    .action(async ({ json, ...values }: { json?: boolean } & FlagValues) => {
      const config = values['config'] === undefined ? null : configFrom(values).config
      const cameras = await listCameras()
      const isJson = wantsJson(json)
      if (isJson) for (const camera of cameras) writeJson(camera)
      else if (cameras.length === 0) process.stderr.write('no camera is connected\n')
      else for (const camera of cameras) writeCamera(camera)
      if (config) await writeConfigured(config, isJson)
    })
}

/** Longest wait for the first picture of every camera. */
const pictureMs = 15_000

/** The configured cameras, and at which size their pictures are decoded. */
async function writeConfigured(config: Config, isJson: boolean): Promise<void> {
  const log = createLogger('warn')
  const classifier = await openClassifier({ ...modelOptions(config), heat: config.heat })
  try {
    await untilSignal(async ({ signal }) => {
      const parts = { config, cameras: config.cameras, classifier, log }
      const sizes = await decodedSizes(parts, { signal, withinMs: pictureMs })
      for (const { id } of config.cameras) writeSizes(id, sizes.get(id) ?? null, isJson)
    })
  } finally {
    await classifier.close()
  }
}

function writeSizes(camera: string, size: DecodedSize | null, isJson: boolean): void {
  if (isJson) return writeJson({ camera, full: size?.full ?? null, decoded: size?.decoded ?? null })
  process.stdout.write(`${camera}  ${size === null ? 'gave no picture' : sizesInWords(size)}\n`)
}

async function listCameras(): Promise<ListedCamera[]> {
  const devices = (await listV4l2Devices()).map(
    ({ path, device, problem, hint }): ListedCamera => ({
      uri: `v4l2://${path}`,
      name: device?.name ?? path,
      driver: device?.driver ?? null,
      formats:
        device?.formats.map(({ fourcc, sizes }) => ({
          format: fourcc,
          sizes: sizes.map(([width, height]) => `${width}x${height}`),
        })) ?? [],
      usable: problem === null,
      problem,
      hint,
    }),
  )
  const csi = (await listCsiCameras()).map(
    ({ uri, name }): ListedCamera => ({
      uri,
      name,
      driver: 'libcamera',
      formats: [],
      usable: true,
      problem: null,
      hint: null,
    }),
  )
  return [...devices, ...csi]
}

function writeCamera({ uri, name, driver, formats, problem, hint }: ListedCamera): void {
  const lines = [`${uri}  ${name}${driver === null ? '' : ` (${driver})`}`]
  if (problem !== null) lines.push(`  cannot be used: ${problem}`)
  if (hint !== null) lines.push(`  ${hint}`)
  for (const { format, sizes } of formats) lines.push(`  ${format.padEnd(5)} ${sizes.join(' ')}`)
  process.stdout.write(`${lines.join('\n')}\n`)
}
