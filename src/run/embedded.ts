/**
 * A node inside another program: `startNode` of the library. It owns no process: no watchdog ends it, no signal is
 * handled, nothing is written to stdout, and no environment variable is read.
 */
import type { z } from 'zod'
import { loadConfig } from '../config/config.js'
import type { configSchema } from '../config/schema.js'
import type { Decision } from '../decision/decision.js'
import { createLogger } from '../log.js'
import { placeOf } from './zones/names.js'
import { openNode, type NodeOptions } from './node.js'

/** The configuration as in the YAML file of docs/configuration.md, as an object. Absent keys have their defaults. */
export type NodeConfig = z.input<typeof configSchema>

/** A label that was settled, or `unknown` with the reason why there is none. */
export interface NodeLabel {
  readonly camera: string
  /** Absent for the camera's own question. */
  readonly zone?: string | undefined
  /** A label of the model, or `unknown`. */
  readonly label: string
  /** Smoothed score, 0 to 1. */
  readonly score: number
  /** The label before this one. */
  readonly previous: string
  /** Only with `unknown`, such as `low_confidence` or `camera_lost`. */
  readonly reason?: string | undefined
  readonly at: Date
}

export interface StartNodeOptions {
  readonly config?: NodeConfig | undefined
  /** Called for each label that is settled or withdrawn. Must not throw. */
  readonly onLabel?: ((label: NodeLabel) => void) | undefined
  /** Stops the node, as `stop` does. */
  readonly signal?: AbortSignal | undefined
}

/** A node that runs. */
export interface RunningNode {
  /** Address of the local page; null without one. */
  readonly pageUrl: string | null
  /** Address of the broker it publishes to; null without one. */
  readonly brokerUrl: string | null
  /**
   * Labels from now on, one at a time. The iteration ends with the node. A reader that is slower than the labels misses
   * the oldest beyond 1,000.
   */
  labels(): AsyncGenerator<NodeLabel, void>
  /** Ends the cameras, says goodbye to the broker and closes everything. Settles as `ended` does; further calls are harmless. */
  stop(): Promise<void>
  /**
   * Resolves when the node has ended and closed everything: after `stop`, or when the cameras end by themselves. Rejects
   * with a GapcamError: CAMERA_* when no camera could be opened, ENGINE_FAILED when the model could not be run.
   */
  readonly ended: Promise<void>
}

const mostWaiting = 1000

/** Opens a node and lets it run. Rejects with CONFIG_INVALID, MODEL_*, PORT_IN_USE or another code of docs/errors.md. */
export async function startEmbedded(
  { config: values = {}, onLabel, signal }: StartNodeOptions,
  startPage: NodeOptions['startPage'],
): Promise<RunningNode> {
  const { config, warnings } = loadConfig({ flags: {}, environment: {}, values })
  const log = createLogger(config.logLevel)
  for (const warning of warnings) log.warn(warning)
  const stopping = new AbortController()
  const stop = (): void => stopping.abort()
  if (signal?.aborted) stop()
  signal?.addEventListener('abort', stop, { once: true })
  const listeners = new Set<(label: NodeLabel) => void>(onLabel ? [onLabel] : [])
  const forget = (): void => signal?.removeEventListener('abort', stop)
  const node = await openNode(
    {
      config,
      log,
      startPage,
      onMissingCamera: (reason) => log.info({}, `no camera: ${reason}`),
      onSettled: (key, decision) => {
        if (decision.reason === 'starting' || decision.reason === 'settling') return
        for (const listen of listeners) listen(labelOf(key, decision))
      },
    },
    stopping.signal,
  ).catch((error: unknown) => {
    forget()
    throw error
  })
  const ended = node
    .run()
    .finally(() => node.close())
    .finally(forget)
    .then(() => undefined)
  ended.catch(() => undefined) // a program that does not read `ended` must not die of an unhandled rejection
  return {
    pageUrl: node.pageUrl,
    brokerUrl: node.broker?.url ?? node.publisher.stats().url,
    labels: () => labelsOf(listeners, ended),
    stop() {
      stop()
      return ended
    },
    ended,
  }
}

function labelOf(key: string, { label, score, prev, reason }: Decision): NodeLabel {
  return { ...placeOf(key), label, score, previous: prev, reason, at: new Date() }
}

/** Labels from this call on, until `ended` settles. */
function labelsOf(listeners: Set<(label: NodeLabel) => void>, ended: Promise<void>): AsyncGenerator<NodeLabel, void> {
  const waiting: NodeLabel[] = []
  let wake = (): void => undefined
  let isOver = false
  const listen = (label: NodeLabel): void => {
    waiting.push(label)
    if (waiting.length > mostWaiting) waiting.shift()
    wake()
  }
  const finish = (): void => {
    isOver = true
    wake()
  }
  async function* generate(): AsyncGenerator<NodeLabel, void> {
    try {
      for (;;) {
        const label = waiting.shift()
        if (label !== undefined) yield label
        else if (isOver) return
        else
          await new Promise<void>((resolve) => {
            wake = resolve
          })
      }
    } finally {
      listeners.delete(listen)
    }
  }
  // Added here and not in the generator, which runs only when its first label is requested.
  listeners.add(listen)
  ended.then(finish, finish)
  return generate()
}
