/** Who is there: what nodes keep on the broker about themselves, as it changes. */
import type { Incoming } from '../publish/mqtt.js'

/** One of a node's bundles, as `R/bundle` has it. */
export interface BundleView {
  /** Digest of the bundle that serves, and of one that computes in its shadow; null: none. */
  readonly installed: string | null
  readonly candidate: string | null
  readonly state: string
  readonly version: string
  readonly fault: string | null
}

export interface FleetNode {
  readonly id: string
  readonly groups: readonly string[]
  readonly isOnline: boolean
  /** Of gapcam. */
  readonly version: string
  readonly model: string
  /** Events that wait in its outbox. */
  readonly queued: number
  readonly bundles: ReadonlyMap<string, BundleView>
  /** A start of the program that had been followed by another one speaks again: two devices have this id. */
  readonly isTwin: boolean
}

interface Known {
  readonly boots: Set<string>
  lastBoot: string
  isTwin: boolean
  isOnline: boolean
  info: Record<string, unknown>
  queued: number
  bundles: ReadonlyMap<string, BundleView>
}

/** Topic filters of a census. */
export const censusFilters = (base: string): readonly string[] =>
  ['status', 'info', 'health', 'bundle'].map((name) => `${base}/+/${name}`)

export class Census {
  readonly #base: string
  readonly #nodes = new Map<string, Known>()
  /** When the last message came, as performance.now() has it. */
  lastMs = performance.now()

  constructor(base: string) {
    this.#base = base
  }

  /** Takes any message and ignores those that say nothing of a node. */
  take({ topic, payload }: Incoming): void {
    const [id = '', name, more] = topic.slice(this.#base.length + 1).split('/')
    if (!topic.startsWith(`${this.#base}/`) || more !== undefined || !/^[a-z0-9-]+$/.test(id)) return
    if (name !== 'status' && name !== 'info' && name !== 'health' && name !== 'bundle') return
    this.lastMs = performance.now()
    if (payload.length === 0) {
      // A node that was removed from the broker.
      if (name === 'info') this.#nodes.delete(id)
      return
    }
    const node = this.#of(id)
    if (name === 'status') node.isOnline = payload.toString() === 'online'
    const value = name === 'status' ? null : objectOf(payload)
    if (value === null) return
    if (name === 'bundle') node.bundles = bundlesOf(value)
    else noteBoot(node, value['boot'])
    if (name === 'info') node.info = value
    if (name === 'health') node.queued = Number((value['mqtt'] as { queued?: unknown } | undefined)?.queued ?? 0)
  }

  /** Every node that has said what it is, by id. */
  nodes(): readonly FleetNode[] {
    return [...this.#nodes]
      .filter(([, { info }]) => info['version'] !== undefined)
      .map(([id, { info, isOnline, isTwin, queued, bundles }]) => ({
        ...{ id, isOnline, isTwin, queued, bundles },
        groups: Array.isArray(info['groups']) ? info['groups'].map(String) : [],
        version: String(info['version']),
        model: String((info['model'] as { id?: unknown } | undefined)?.id ?? ''),
      }))
      .sort((a, b) => (a.id < b.id ? -1 : 1))
  }

  #of(id: string): Known {
    const known = this.#nodes.get(id)
    if (known) return known
    const made: Known = {
      ...{ boots: new Set(), lastBoot: '', isTwin: false, isOnline: false, info: {}, queued: 0, bundles: new Map() },
    }
    this.#nodes.set(id, made)
    return made
  }
}

/** A start has an id of its own, so one that comes back after another belongs to a second device. */
function noteBoot(node: Known, boot: unknown): void {
  if (typeof boot !== 'string' || boot === node.lastBoot) return
  if (node.boots.has(boot)) node.isTwin = true
  node.boots.add(boot)
  node.lastBoot = boot
}

function objectOf(payload: Buffer): Record<string, unknown> | null {
  try {
    const value = JSON.parse(payload.toString()) as unknown
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null
  } catch {
    return null
  }
}

/** The node's own bundle and those of its zones, by name. */
function bundlesOf(value: Record<string, unknown>): ReadonlyMap<string, BundleView> {
  const others = Object.entries((value['others'] ?? {}) as Record<string, Record<string, unknown>>)
  const own = typeof value['name'] === 'string' ? [[value['name'], value] as const] : []
  return new Map([...others, ...own].map(([name, fields]) => [name, viewOf(fields)]))
}

function viewOf(fields: Record<string, unknown>): BundleView {
  const slot = (name: string): { version?: unknown; digest?: unknown } | null =>
    (fields[name] ?? null) as { version?: unknown; digest?: unknown } | null
  const digest = (name: string): string | null => {
    const found = slot(name)?.digest
    return typeof found === 'string' ? found : null
  }
  return {
    installed: digest('installed'),
    candidate: digest('candidate'),
    state: String(fields['state'] ?? 'none'),
    version: String(slot('installed')?.version ?? ''),
    fault: typeof fields['fault'] === 'string' ? fields['fault'] : null,
  }
}
