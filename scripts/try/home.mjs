// A real Home Assistant for the trial: installed from PyPI, configured with one user and the MQTT integration, and
// asked through its own API.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { freePort } from '../bench/loopback.mjs'
import { check, folder, launch, makeBroker, project, until } from './bench.mjs'

/** The integrations that the trial uses. */
const components = [
  'mqtt',
  'frontend',
  'camera',
  'stream',
  'recorder',
  'conversation',
  'file_upload',
  'image',
  'backup',
  'onboarding',
  'http',
  'history',
  'assist_pipeline',
  'tts',
  'ffmpeg',
  'zeroconf',
]

/** Options of each trial with Home Assistant, for parseArgs. */
export const homeOptions = {
  python: { type: 'string', default: 'python3.13' },
  version: { type: 'string', default: '2025.4.0' },
}

/** A broker and Home Assistant, running. Prints the versions of both. */
export async function openHome({ python, version }) {
  const programs = install({ python, version })
  const broker = await makeBroker()
  broker.child = broker.start()
  const place = { programs, home: join(folder, 'home'), port: await freePort(), brokerPort: broker.port }
  configure(place)
  const home = new Home(place)
  await home.start()
  const mosquitto = spawnSync('mosquitto', ['-h'], { encoding: 'utf8', env: { PATH: '/usr/sbin:/usr/bin' } })
  process.stdout.write(`Home Assistant ${version}, ${mosquitto.stdout.split('\n')[0]}\n`)
  return { broker, home }
}

/**
 * Installs Home Assistant into .cache, once for each version; returns the folder of its programs. uv does it: pip takes much
 * longer to settle the versions of 120 packages.
 */
function install({ python, version }) {
  const venv = join(project, '.cache/homeassistant', version)
  const programs = join(venv, 'bin')
  const done = join(venv, 'installed')
  if (existsSync(done)) return programs
  mkdirSync(venv, { recursive: true })
  run(python, ['-m', 'venv', '--clear', venv])
  const inVenv = join(programs, 'python')
  run(inVenv, ['-m', 'pip', 'install', '-q', '--only-binary', ':all:', 'uv'])
  const add = (...args) => run(join(programs, 'uv'), ['pip', 'install', '--python', inVenv, ...args])
  add(`homeassistant==${version}`)
  // Each component names the exact versions that it needs.
  const packages = join(venv, 'lib', python.replace(/.*\//, ''), 'site-packages/homeassistant/components')
  const requirements = components
    .map((name) => join(packages, name, 'manifest.json'))
    .filter(existsSync)
    .flatMap((file) => JSON.parse(readFileSync(file, 'utf8')).requirements ?? [])
  add('--only-binary', ':all:', ...new Set(requirements))
  writeFileSync(done, '')
  return programs
}

function run(program, args) {
  const { status, error } = spawnSync(program, args, { stdio: ['ignore', 2, 2] })
  if (error || status !== 0)
    throw new Error(`${program} ${args.join(' ')} failed: ${error?.message ?? `status ${status}`}`)
}

/** Writes the configuration: one user who has finished the onboarding, and the MQTT integration. */
function configure({ home, port, brokerPort, programs }) {
  mkdirSync(join(home, '.storage'), { recursive: true })
  writeFileSync(
    join(home, 'configuration.yaml'),
    `homeassistant:\n  name: Workshop\n  time_zone: UTC\nhttp:\n  server_host: 127.0.0.1\n  server_port: ${port}\nfrontend:\nconfig:\nhistory:\nlogger:\n  default: info\n`,
  )
  const store = (key, versions, data) =>
    writeFileSync(join(home, '.storage', key), JSON.stringify({ ...versions, key, data }))
  store('core.config_entries', { version: 1, minor_version: 5 }, { entries: [mqttEntry(brokerPort)] })
  const done = ['user', 'core_config', 'analytics', 'integration']
  store('onboarding', { version: 4, minor_version: 1 }, { done })
  run(join(programs, 'hass'), ['--script', 'auth', '-c', home, 'add', 'jo', 'secret'])
}

/** Name of the entry that the MQTT integration has. */
const entryTitle = 'mosquitto'

function mqttEntry(brokerPort) {
  const at = '2025-01-01T00:00:00+00:00'
  const status = (payload) => ({ topic: 'homeassistant/status', payload, qos: 0, retain: false })
  return {
    created_at: at,
    modified_at: at,
    entry_id: 'gapcamtest',
    version: 1,
    minor_version: 2,
    domain: 'mqtt',
    title: entryTitle,
    data: { broker: '127.0.0.1', port: brokerPort },
    options: {
      discovery: true,
      discovery_prefix: 'homeassistant',
      birth_message: status('online'),
      will_message: status('offline'),
    },
    pref_disable_new_entities: false,
    pref_disable_polling: false,
    source: 'user',
    unique_id: null,
    disabled_by: null,
    discovery_keys: {},
    subentries: [],
  }
}

/** A running Home Assistant. `said` is its log since the last start. */
class Home {
  #programs
  #folder
  #child = null

  constructor({ programs, home, port }) {
    this.#programs = programs
    this.#folder = home
    this.url = `http://127.0.0.1:${port}`
  }

  get child() {
    return this.#child
  }

  get said() {
    return this.#child.said
  }

  /** Starts it and logs in. */
  async start() {
    this.#child = launch(join(this.#programs, 'hass'), ['-c', this.#folder, '--skip-pip'])
    if (!(await until(() => this.said.includes('birth message sent'), 900)))
      throw new Error(`Home Assistant did not start:\n${this.said.slice(-3000)}`)
    await this.#login()
  }

  async #login() {
    const post = async (path, body) => {
      const headers = typeof body === 'string' ? { 'content-type': 'application/json' } : {}
      return (await fetch(`${this.url}${path}`, { method: 'POST', body, headers })).json()
    }
    const client_id = `${this.url}/`
    const { flow_id } = await post(
      '/auth/login_flow',
      JSON.stringify({ client_id, handler: ['homeassistant', null], redirect_uri: client_id }),
    )
    const { result: code } = await post(
      `/auth/login_flow/${flow_id}`,
      JSON.stringify({ client_id, username: 'jo', password: 'secret' }),
    )
    this.tokens = await post('/auth/token', new URLSearchParams({ client_id, grant_type: 'authorization_code', code }))
  }

  /** Answers a request; a token holds for half an hour. */
  async get(path, init = {}) {
    const ask = () =>
      fetch(`${this.url}${path}`, {
        ...init,
        headers: { authorization: `Bearer ${this.tokens.access_token}`, 'content-type': 'application/json' },
      })
    const response = await ask()
    if (response.status !== 401) return response
    await this.#login()
    return ask()
  }

  /** State and attributes of an entity; null where there is none. */
  async state(id) {
    const response = await this.get(`/api/states/${id}`)
    return response.ok ? response.json() : null
  }

  /** The entity ids that contain `part`. */
  async ids(part) {
    const states = await (await this.get('/api/states')).json()
    return states
      .map(({ entity_id }) => entity_id)
      .filter((id) => id.includes(part))
      .sort()
  }

  /** The ids in the registry of entities, also of those that are switched off or have no state, that contain `part`. */
  async registered(part) {
    const list = await this.template(`{{ integration_entities('${entryTitle}') | to_json }}`)
    return JSON.parse(list).filter((id) => id.includes(part))
  }

  /** True when every entity whose id contains `part` has a state. */
  async areAvailable(part) {
    const states = await Promise.all((await this.ids(part)).map((id) => this.state(id)))
    return states.every(({ state }) => state !== 'unavailable')
  }

  async call(service, entity_id, data = {}) {
    return this.get(`/api/services/${service.replace('.', '/')}`, {
      method: 'POST',
      body: JSON.stringify({ entity_id, ...data }),
    })
  }

  async template(template) {
    return (await this.get('/api/template', { method: 'POST', body: JSON.stringify({ template }) })).text()
  }

  /** Checks that an entity reaches a state. */
  async is(id, wanted, seconds = 30) {
    let last
    const isRight = await until(
      async () => (last = (await this.state(id))?.state ?? 'no such entity') === wanted,
      seconds,
    )
    check(`${id} is ${wanted}`, isRight, isRight ? '' : `${id} is ${last}`)
  }

  /** The picture that an entity shows; false where there is none, such as HTTP 500. */
  async picture(id, seconds = 20) {
    const proxy = id.startsWith('image') ? 'image_proxy' : 'camera_proxy'
    return until(async () => {
      const response = await this.get(`/api/${proxy}/${id}`)
      return response.ok && Buffer.from(await response.arrayBuffer())
    }, seconds)
  }

  /** Warnings and errors in the log, except those about Home Assistant's own packages. */
  warnings() {
    const isOwn = /Skipping pip|aiohttp_fast_zlib|custom integration|TurboJPEG|turbojpeg/
    return this.said.split('\n').filter((line) => /WARNING|ERROR/.test(line) && !isOwn.test(line))
  }
}
