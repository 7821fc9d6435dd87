/**
 * The page of a running node: connects observer, live pictures, routes and live sockets with the run, and serves them.
 * It only reads the run; changes go through the run's commands.
 */
import { join } from 'node:path'
import type { Classifier } from '../classifier.js'
import type { Config } from '../config/schema.js'
import { stateDirectory } from '../config/state-directory.js'
import type { Decision } from '../decision/decision.js'
import type { Logger } from '../log.js'
import type { Publisher } from '../publish/publisher.js'
import type { NodeCamera } from '../run/camera.js'
import type { LiveRun } from '../run/runtime.js'
import type { Settings } from '../run/settings.js'
import { version } from '../version.js'
import { apiRoutes, type ApiCamera } from './api.js'
import { watchBoard } from './board-watch.js'
import { createObserver, type ObservedCamera, type Observer } from './observer.js'
import { createExposition } from './openmetrics.js'
import { PictureHub } from './pictures.js'
import { createReports } from './reports.js'
import type { Route } from './route.js'
import type { Zone } from '../zone/zone.js'
import { startServer } from './server.js'
import { createLiveSockets } from './socket.js'
import { pageToken } from './token.js'

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
    cameras: zonesOf(live).map((seen) => observed(seen, live.settings)),
    metrics: live.metrics,
    publisher,
    soc: board.last,
  })
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

function hubsOf({ live, classifier }: PageOptions): Map<string, PictureHub> {
  const hasHeat = 'heat' in classifier.heat
  return new Map(
    live.zones.map((zone) => [
      zone.key,
      new PictureHub({ id: zone.key, hasHeat, capture: (options) => zone.capture(options) }),
    ]),
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
    cameras: zonesOf(live).map((seen) => apiCameraOf(seen, live.settings)),
    classifier,
    commands: live.commands,
    hubs,
    observer,
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

function apiCameraOf({ zone, camera }: ObservedZone, settings: Settings): ApiCamera {
  return {
    id: zone.key,
    source: camera.config.source,
    get isEnabled() {
      return settings.zone(zone.key).isEnabled
    },
    capture: (options) => zone.capture(options),
  }
}

interface ObservedZone {
  readonly zone: Zone
  /** The camera that delivers its frames. */
  readonly camera: NodeCamera
}

/** The zones with their cameras. A camera's own zone has the camera's id, so the API calls zones cameras. */
function zonesOf({ cameras }: LiveRun): ObservedZone[] {
  return cameras.flatMap((camera) => camera.zones.map((zone) => ({ zone, camera })))
}

function observed({ zone, camera }: ObservedZone, settings: Settings): ObservedCamera {
  const { rotate = 0, flipX = false, flipY = false } = camera.config
  return {
    id: zone.key,
    view: { rotate, flipX, flipY },
    get isEnabled() {
      return settings.zone(zone.key).isEnabled
    },
    get threshold() {
      return settings.zone(zone.key).policy.threshold
    },
    get roi() {
      return settings.zone(zone.key).roi
    },
    get frames() {
      return zone.frames
    },
    get decision() {
      return zone.decision
    },
    get description() {
      return camera.description
    },
  }
}
