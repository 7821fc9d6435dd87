/**
 * The Home Assistant app: its config.yaml follows the Supervisor's documented keys and option types (checked here by our own
 * reading of the documentation, since its schema is in no package; the README of the app's folder names the linter), and its
 * program makes the configuration and forwards ingress.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, it } from 'vitest'
import { parse } from 'yaml'
import { loadConfig } from '../../src/config/config.js'
import { cleanEnvironment, endAll, launch } from '../process.js'
import { projectRoot } from '../shared.js'

const app = join(projectRoot, 'packaging/home-assistant/gapcam')
const folder = mkdtempSync(join(tmpdir(), 'gapcam-app-'))
/** In place of gapcam. It ends when its parent has ended. */
const program = join(folder, 'program.mjs')
writeFileSync(
  program,
  `console.log('started', ...process.argv.slice(2)); setInterval(() => process.ppid === 1 && process.exit(), 200)`,
)
const servers: Server[] = []
const config = parse(readFileSync(join(app, 'config.yaml'), 'utf8')) as Record<string, unknown>
afterEach(async () => {
  await endAll()
  for (const server of servers.splice(0)) server.close()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function serve(answer: (url: string, headers: NodeJS.Dict<string | string[]>) => string): Promise<number> {
  const server = createServer((request, response) => response.end(answer(request.url!, request.headers)))
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as AddressInfo).port
}

it('has the version of gapcam, the required keys, and no unknown ones', () => {
  const { version } = JSON.parse(readFileSync(join(projectRoot, 'package.json'), 'utf8')) as { version: string }
  expect(config).toMatchObject({ version, slug: 'gapcam', video: true, services: ['mqtt:want'], ingress: true })
  // The linter of apps refuses keys that have their default value, such as boot: auto.
  const known = /^(name|version|slug|description|url|arch|video|services|ingress|panel_icon|map|options|schema)$/
  expect(Object.keys(config).filter((key) => !known.test(key))).toEqual([])
  expect(config['arch']).toEqual(['aarch64', 'amd64'])
})

it('gives every option a type that the Supervisor knows', () => {
  const type = /^(str|bool|email|url|port|password|device|int|float)(\([\d.]*,[\d.]*\))?\??$|^(match|list)\(.+\)\??$/
  const types = (node: unknown): string[] =>
    typeof node === 'string' ? [node] : Object.values(node as object).flatMap((value) => types(value))
  expect(types(config['schema']).filter((text) => !type.test(text))).toEqual([])
})

it('takes the broker of the MQTT service and the options, and forwards ingress alone to the page', async () => {
  const supervisor = await serve((url, { authorization }) =>
    url === '/services/mqtt' && authorization === 'Bearer T'
      ? JSON.stringify({
          data: { host: 'core-mosquitto', port: 1883, ssl: false, username: 'addons', password: 'secret' },
        })
      : '{}',
  )
  const page = await serve((url, { host, origin }) => JSON.stringify({ url, host, origin }))
  writeFileSync(
    join(folder, 'options.json'),
    JSON.stringify({
      node: 'porch',
      cameras: [{ id: 'gate', source: 'rtsp://gate/1', username: 'me', password: 'pw' }],
    }),
  )
  const ingress = await serve(() => '')
  servers.pop()!.close()
  const env = {
    ...cleanEnvironment(),
    GAPCAM_OPTIONS: join(folder, 'options.json'),
    GAPCAM_CONFIG_OUT: join(folder, 'gapcam.json'),
    SUPERVISOR_API: `http://127.0.0.1:${supervisor}`,
    SUPERVISOR_TOKEN: 'T',
    INGRESS_ADDRESS: '127.0.0.1',
    INGRESS_PORT: String(ingress),
    PAGE_PORT: String(page),
    GAPCAM_PROGRAM: `${process.execPath} ${program}`,
  }
  const start = launch(process.execPath, [join(app, 'start.mjs')], { env })
  await start.until(/started run --config .*gapcam\.json/)
  const { config: made } = loadConfig({ flags: {}, environment: {}, file: join(folder, 'gapcam.json') })
  expect(made).toMatchObject({
    node: 'porch',
    mqtt: { broker: 'mqtt://core-mosquitto:1883', username: 'addons', password: 'secret' },
    cameras: [{ id: 'gate', source: 'rtsp://me:pw@gate/1', username: 'me' }],
    page: { host: '127.0.0.1', port: page },
  })
  expect(readFileSync(join(folder, 'gapcam.json'), 'utf8')).not.toContain('"pw"')
  const headers = { origin: 'http://homeassistant.local:8123' }
  const answer = await fetch(`http://127.0.0.1:${ingress}/api/info`, { headers })
  const own = `127.0.0.1:${page}`
  expect(await answer.json()).toEqual({ url: '/api/info', host: own, origin: `http://${own}` })
  start.kill('SIGTERM')
  expect(await start.ended).toBe(143)
})

it('refuses a request that does not come from ingress', async () => {
  const ingress = await serve(() => '')
  servers.pop()!.close()
  writeFileSync(join(folder, 'options.json'), JSON.stringify({ node: 'porch', cameras: [] }))
  const env = {
    ...cleanEnvironment(),
    GAPCAM_OPTIONS: join(folder, 'options.json'),
    GAPCAM_CONFIG_OUT: join(folder, 'gapcam.json'),
    SUPERVISOR_API: 'http://127.0.0.1:1',
    INGRESS_PORT: String(ingress),
    GAPCAM_PROGRAM: `${process.execPath} ${program}`,
  }
  const start = launch(process.execPath, [join(app, 'start.mjs')], { env })
  await start.until(/no MQTT service/)
  const answer = async (): Promise<number> => (await fetch(`http://127.0.0.1:${ingress}/`)).status
  await expect.poll(() => answer().catch(() => 0)).toBe(403)
})
