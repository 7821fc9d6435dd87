/** The page of a run: puts observer, pictures, routes and sockets together and serves them. */
import { isIP } from 'node:net'
import { join } from 'node:path'
import type { Classifier } from '../classifier.js'
import type { Config } from '../config/schema.js'
import { stateDirectory } from '../config/state-directory.js'
import type { Decision } from '../decision/decision.js'
import { GapcamError, messageOf } from '../errors.js'
import type { BoardReader } from '../board.js'
import type { Logger } from '../log.js'
import type { Publisher } from '../publish/publisher.js'
import type { LiveCamera, LiveRun } from '../run/runtime.js'
import { version } from '../version.js'
import { apiRoutes } from './api.js'
import { createObserver, type ObservedCamera, type Soc } from './observer.js'
import { createExposition } from './openmetrics.js'
import { PictureHub } from './pictures.js'
import { keepSecret, readSecret } from '../secrets.js'
import type { Settings } from '../run/settings.js'
import { createReports } from './reports.js'
import { startServer } from './server.js'
import { createLiveSockets } from './socket.js'

export interface PageOptions {
  readonly config: Config
  readonly live: LiveRun
  readonly classifier: Classifier
  readonly publisher: Publisher
  readonly log: Logger
}

export interface Page {
  /** Such as http://127.0.0.1:8080. */
  readonly url: string
  /** A label settled, or was given up. */
  settled(camera: string, decision: Decision): void
  close(): Promise<void>
}

/** Starts to serve. Rejects with CONFIG_INVALID for an address without its token, with PORT_IN_USE for one that cannot be had now. */
export async function startPage({ config, live, classifier, publisher, log }: PageOptions): Promise<Page> {
  const { host, port } = config.page
  const token = tokenOf(config.page)
  if (token === null && !isLoopback(host)) {
    throw new GapcamError('CONFIG_INVALID', `page.host: ${host} is open to others, and there is no page.token`, {
      hint: 'Set page.tokenFile (at least 16 characters), or leave page.host at 127.0.0.1 and use an ssh tunnel.',
    })
  }
  const hubs = new Map(
    live.cameras.map(({ config: { id }, pipeline }) => [
      id,
      new PictureHub({ id, hasHeat: 'heat' in classifier.heat, capture: (options) => pipeline.capture(options) }),
    ]),
  )
  const soc = watchSoc(live.board, () => sockets.size > 0)
  const observer = createObserver({
    node: config.node,
    cameras: live.cameras.map((camera) => observed(camera, live.settings)),
    metrics: live.metrics,
    publisher,
    soc: soc.last,
  })
  const sockets = createLiveSockets({ hubs, state: () => observer.state() })
  const { engine, target } = classifier.engine.describe()
  const exposition = createExposition({
    state: () => observer.state(),
    metrics: live.metrics,
    build: { version, model: classifier.modelId, engine, target },
  })
  const routes = apiRoutes({
    exposition,
    version,
    node: config.node,
    topics: publisher.root,
    classifier,
    commands: live.commands,
    hubs,
    observer,
    reports: createReports(join(stateDirectory(config), 'reports')),
    cameras: live.cameras.map(({ config: { id, source }, pipeline }) => ({
      id,
      source,
      get isEnabled() {
        return live.settings.camera(id).isEnabled
      },
      capture: (options) => pipeline.capture(options),
    })),
    about: () => ({
      gapcam: version,
      model: { id: classifier.modelId, sha256: classifier.sha256 },
      engine: classifier.engine.describe(),
      settings: live.settings.overrides,
      policy: config.policy,
    }),
  })
  const stop = (): void => {
    observer.close()
    soc.close()
  }
  const server = await startServer({
    host,
    ...(port === undefined ? {} : { port }),
    token,
    version,
    routes,
    sockets,
    log,
  }).catch((error: unknown) => {
    stop()
    throw error
  })
  return {
    url: server.url,
    settled: (camera, decision) => observer.settled(camera, decision),
    async close() {
      stop()
      await server.close()
    },
  }
}

const socEveryMs = 5000
/** While nobody looks, the board is asked once in so many times: asking may start a program. */
const socSeldom = 12

/** What the board says of itself, asked now and then. */
function watchSoc(board: BoardReader, isWatched: () => boolean): { last(): Soc; close(): void } {
  let last: Soc = { temperatureC: null, isThrottled: null, isUndervolted: null }
  let turn = 0
  const ask = async (): Promise<void> => {
    const { soc_c, throttled, undervoltage } = await board.read()
    last = { temperatureC: soc_c ?? null, isThrottled: throttled ?? null, isUndervolted: undervoltage ?? null }
  }
  const timer = setInterval(() => {
    if (isWatched() || ++turn % socSeldom === 0) void ask()
  }, socEveryMs)
  void ask()
  return { last: () => last, close: () => clearInterval(timer) }
}

function observed(live: LiveCamera, settings: Settings): ObservedCamera {
  const {
    config: { id, rotate = 0, flipX = false, flipY = false },
    pipeline,
  } = live
  return {
    id,
    view: { rotate, flipX, flipY },
    get isEnabled() {
      return settings.camera(id).isEnabled
    },
    get threshold() {
      return settings.camera(id).policy.threshold
    },
    get roi() {
      return settings.camera(id).roi
    },
    get frames() {
      return pipeline.frames
    },
    get decision() {
      return pipeline.decision
    },
    get description() {
      return live.description
    },
  }
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

function tokenOf({ token, tokenFile }: Config['page']): string | null {
  keepSecret(token)
  if (tokenFile === undefined) return token ?? null
  try {
    const text = readSecret(tokenFile).trim()
    if (text.length < 16) throw new Error('it holds fewer than 16 characters')
    return text
  } catch (error) {
    throw new GapcamError('CONFIG_INVALID', `page.tokenFile: ${tokenFile} cannot be used: ${messageOf(error)}`)
  }
}
