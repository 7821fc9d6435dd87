/** The local page as a node sees it. The server room is above this one, so a function that starts it is handed in. */
import { hostname } from 'node:os'
import type { Classifier } from '../classifier.js'
import type { Config } from '../config/schema.js'
import type { Decision } from '../decision/decision.js'
import { GapcamError } from '../errors.js'
import type { Logger } from '../log.js'
import type { Publisher } from '../publish/publisher.js'
import type { LiveRun } from './runtime.js'

/** A page that is open. */
export interface NodePage {
  /** Such as http://127.0.0.1:8080. */
  readonly url: string
  /** A label was settled or withdrawn. */
  settled(zone: string, decision: Decision): void
  close(): Promise<void>
}

/** What a page shows and changes. */
export interface PageParts {
  readonly config: Config
  readonly live: LiveRun
  readonly classifier: Classifier
  readonly publisher: Publisher
  readonly log: Logger
}

/** A page that cannot be served is an error only where its address was configured; otherwise the node runs without it. */
export async function openPage(
  start: ((parts: PageParts) => Promise<NodePage>) | undefined,
  parts: PageParts,
): Promise<NodePage | null> {
  const { enabled, host, port, tokenFile } = parts.config.page
  if (!enabled || !start) return null
  try {
    return await start(parts)
  } catch (error) {
    const isConfigured = port !== undefined || host !== '127.0.0.1' || tokenFile !== undefined
    if (!(error instanceof GapcamError) || isConfigured) throw error
    parts.log.warn({ code: error.code }, `${error.message}; running without it`)
    return null
  }
}

/** The page's address as others reach it: known before it is open only where its port is configured, never on loopback. */
export function knownPageUrl({ page: { enabled, host, port } }: Config): string | undefined {
  if (!enabled || port === undefined || port === 0 || /^(127\.|::1$|localhost$)/.test(host)) return undefined
  const name = /^(0\.0\.0\.0|::)$/.test(host) ? hostname() : host
  return `http://${name.includes(':') ? `[${name}]` : name}:${port}`
}
