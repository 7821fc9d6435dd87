/**
 * The page of a running node: connects observer, live pictures, routes and live sockets with the run, and serves them.
 * It only reads the run; changes go through the run's commands.
 */
import { join } from 'node:path'
import type { Classifier } from '../classifier.js'
import type { Config } from '../config/schema.js'
import { stateDirectory } from '../config/state-directory.js'
import { isWithoutCamera, undecided, type Decision } from '../decision/decision.js'
import type { Logger } from '../log.js'
import type { Publisher } from '../publish/publisher.js'
import type { NodeCamera } from '../run/cameras/camera.js'
import { modelNames } from '../run/zones/model-names.js'
import type { LiveRun } from '../run/runtime.js'
import type { Settings } from '../run/commands/settings.js'
import { version } from '../version.js'
import { apiRoutes } from './api.js'
import type { ApiCamera } from './api-camera.js'
import { watchBoard } from './board-watch.js'
import { createObserver, type ObservedCamera, type Observer } from './observer.js'
import { createExposition } from './openmetrics.js'
import { PictureHub, type PictureSource } from './pictures.js'
import { createReports } from './reports.js'
import type { Route } from './route.js'
import { hasOwn, type ZonedCamera } from '../zone/definition.js'
import type { AnyZone } from '../zone/missing.js'
import { startServer } from './server.js'
import { createLiveSockets } from './socket.js'
import { pageToken } from './token.js'
import { zoneStates } from './zones.js'

export interface PageOptions {
  readonly config: Config
  readonly live: LiveRun
  readonly classifier: Classifier
  readonly publisher: Publisher
  readonly log: Logger
}

export interface Page {
  /** For example http://127.0.0.1:8080. */
  readonly url: string
  /** Records that a label settled, or that it became unknown. */
  settled(camera: string, decision: Decision): void
  /** Disconnects every visitor. */
  close(): Promise<void>
}

/**
 * Starts the page. Rejects with CONFIG_INVALID for an open address without a token, and with PORT_IN_USE for an address
 * that cannot be used now.
 *
 *     const page = await startPage({ config, live, classifier, publisher, log })
 *     console.log(page.url)
 */
export async function startPage(options: PageOptions): Promise<Page> {
  const { config, live, publisher, log } = options
  const token = pageToken(config.page)
  const hubs = hubsOf(options)
  const board = watchBoard(live.board, () => sockets.size > 0)
  const observer = createObserver({
    node: config.node,
    cameras: live.cameras.map((camera) => observed(camera, live, config.policy)),
    metrics: live.metrics,
    publisher,
    soc: board.last,
  })
  live.onZones(() => observer.keep(live.zones.map(({ key }) => key)))
  const sockets = createLiveSockets({ hubs, state: () => observer.state() })
  const routes = routesOf(options, hubs, observer)
  const stop = (): void => {
    observer.close()
    board.close()
  }
  const { host, port } = config.page
  const server = await startServer({ host, port, token, version, routes, sockets, log }).catch((error: unknown) => {
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

/** A camera's pictures come with heat maps where its own question has them. */
function hubsOf({ live, classifier }: PageOptions): Map<string, PictureHub> {
  return new Map(
    live.cameras.map((camera) => {
      const { id } = camera.config
      const source: PictureSource = {
        id,
        get hasHeat() {
          return 'heat' in classifier.heat && hasOwn(zonedOf(live, id))
        },
        get hasMask() {
          return camera.zones.find(({ key }) => key === id)?.classifier?.mask != null
        },
        capture: (options) => camera.capture(options),
      }
      return [id, new PictureHub(source)]
    }),
  )
}

function routesOf(
  { config, live, classifier, publisher }: PageOptions,
  hubs: ReadonlyMap<string, PictureHub>,
  observer: Observer,
): Route[] {
  const { engine, target } = classifier.engine.describe()
  return apiRoutes({
    version,
    node: config.node,
    topics: publisher.root,
    cameras: live.cameras.map((camera) => apiCameraOf(camera, live.settings)),
    live,
    models: () => modelNames(config, stateDirectory(config)),
    classifier,
    commands: live.commands,
    hubs,
    observer,
    reviewing: live.reviewing,
    galleries: live.galleries,
    reports: createReports(join(stateDirectory(config), 'reports')),
    exposition: createExposition({
      state: () => observer.state(),
      metrics: live.metrics,
      build: { version, model: classifier.modelId, engine, target },
    }),
    about: () => ({
      gapcam: version,
      model: { id: classifier.modelId, sha256: classifier.sha256 },
      engine: classifier.engine.describe(),
      settings: live.settings.overrides,
      policy: config.policy,
    }),
  })
}

function apiCameraOf(camera: NodeCamera, settings: Settings): ApiCamera {
  const { id, source } = camera.config
  return {
    id,
    source,
    get isEnabled() {
      return settings.camera(id).isEnabled
    },
    capture: (options) => camera.capture(options),
  }
}

const zonedOf = ({ settings }: Pick<LiveRun, 'settings'>, id: string): ZonedCamera =>
  settings.cameras.find((camera) => camera.id === id)!

/** A camera as the page sees it: with the state of its own question where it has one, and its zones. */
function observed(camera: NodeCamera, live: LiveRun, policy: Config['policy']): ObservedCamera {
  const { id, rotate = 0, flipX = false, flipY = false } = camera.config
  const { settings } = live
  const own = (): AnyZone | undefined => camera.zones.find(({ key }) => key === id)
  const ownSettings = () => (hasOwn(zonedOf(live, id)) ? settings.zone(id) : null)
  return {
    id,
    view: { rotate, flipX, flipY },
    get isEnabled() {
      return settings.camera(id).isEnabled
    },
    get threshold() {
      return ownSettings()?.policy.threshold ?? policy.threshold
    },
    get needsTeaching() {
      return live.teaching.drifted(id)
    },
    get roi() {
      return ownSettings()?.roi ?? null
    },
    get hasOwn() {
      return own() !== undefined
    },
    get hasHeat() {
      const heat = own()?.classifier?.heat
      return heat !== undefined && 'heat' in heat
    },
    get zones() {
      return zoneStates(live, id)
    },
    get frames() {
      return camera.zones.reduce((sum, { frames }) => sum + frames, 0)
    },
    get decision() {
      return own()?.decision ?? withoutOwn(camera)
    },
    get description() {
      return camera.description
    },
  }
}

/** A camera that asks nothing itself has no label; whether it delivers is known from its zones. */
function withoutOwn({ zones }: NodeCamera): Decision {
  const { reason = 'settling' } = zones[0]?.decision ?? {}
  const isAway = reason === 'starting' || isWithoutCamera({ reason })
  return { ...undecided(performance.now()), reason: isAway ? reason : 'settling' }
}
