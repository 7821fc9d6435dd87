/**
 * `gapcam cameras`: lists the connected cameras with their formats, and says why one cannot be used. With a configuration it
 * also opens each configured camera, as `gapcam run` would, and says at which size its pictures are decoded.
 */
import type { Command } from 'commander'
import { listCsiCameras } from '../camera/find.js'
import { listV4l2Devices } from '../camera/v4l2.js'
import type { FlagValues } from './flags.js'
import { wantsJson, writeJson } from './output.js'

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
      // What opens cameras is loaded only where it is needed: the list alone shall come at once, on a small board too.
      const configured = values['config'] === undefined ? null : await import('./cameras-configured.js')
      const config = configured?.readConfig(values)
      const cameras = await listCameras()
      const isJson = wantsJson(json)
      if (isJson) for (const camera of cameras) writeJson(camera)
      else if (cameras.length === 0) process.stderr.write('no camera is connected\n')
      else for (const camera of cameras) writeCamera(camera)
      if (configured && config) await configured.writeConfigured(config, isJson)
    })
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
