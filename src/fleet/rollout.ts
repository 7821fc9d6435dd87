/** A rollout: group by group, a bounded number of nodes at once, until too many have failed. */
import type { FleetNode } from './census.js'
import type { Answer, OrderKind } from './orders.js'
import type { Progress, RolloutRecord } from './record.js'
import { stepOf, type StepOptions } from './step.js'

export interface RolloutOptions extends Omit<StepOptions, 'target'> {
  /** Nodes that are changed at once. */
  readonly parallel: number
  /** Failures that a group of this size may have. */
  readonly allowed: (size: number) => number
  /** Share of a group that must be done before the next group begins. */
  readonly minDone: number
}

export interface GroupCount {
  readonly group: string
  readonly nodes: number
  readonly done: number
  readonly busy: number
  readonly failed: number
  readonly offline: number
  readonly waiting: number
}

export type Verdict =
  | { readonly kind: 'going' }
  | { readonly kind: 'done' }
  | { readonly kind: 'stopped'; readonly sentence: string }

export interface Tick {
  readonly record: RolloutRecord
  readonly orders: readonly { readonly node: string; readonly kind: OrderKind }[]
  readonly verdict: Verdict
}

const fresh: Progress = { state: 'waiting', sinceMs: 0 }

/** The nodes of each group in order; a node of several belongs to the first. */
export function stagesOf(groups: readonly string[], nodes: readonly FleetNode[]): ReadonlyMap<string, FleetNode[]> {
  const stages = new Map<string, FleetNode[]>(groups.map((group) => [group, []]))
  for (const node of nodes) {
    const first = groups.find((group) => node.groups.includes(group))
    if (first !== undefined) stages.get(first)!.push(node)
  }
  return stages
}

/** Counts each group. */
export function countsOf(record: RolloutRecord, nodes: readonly FleetNode[]): GroupCount[] {
  return [...stagesOf(record.groups, nodes)].map(([group, members]) => {
    const states = members.map(({ id }) => record.nodes[id]?.state ?? 'waiting')
    const count = (...which: readonly Progress['state'][]): number => states.filter((one) => which.includes(one)).length
    const offline = members.filter(({ isOnline }, i) => states[i] === 'waiting' && !isOnline).length
    return {
      ...{ group, nodes: members.length, offline },
      done: count('done'),
      busy: count('ordered', 'watching', 'confirming'),
      failed: count('failed'),
      waiting: count('waiting') - offline,
    }
  })
}

/** Moves every node of the present group one step. Pure: the caller sends the orders and keeps the record. */
export function tick(
  record: RolloutRecord,
  nodes: readonly FleetNode[],
  answerOf: (node: string) => Answer | null,
  nowMs: number,
  options: RolloutOptions,
): Tick {
  const orders: { node: string; kind: OrderKind }[] = []
  const changed: Record<string, Progress> = { ...record.nodes }
  for (const [group, members] of stagesOf(record.groups, nodes)) {
    const isBusy = (id: string): boolean => ['ordered', 'watching', 'confirming'].includes(changed[id]?.state ?? '')
    let busy = members.filter(({ id }) => isBusy(id)).length
    let failed = members.filter(({ id }) => changed[id]?.state === 'failed').length
    const allowed = options.allowed(members.length)
    for (const node of members) {
      const mayOrder = busy < options.parallel && failed <= allowed
      const before = changed[node.id] ?? fresh
      const step = stepOf(node, before, answerOf(node.id), nowMs, mayOrder, { ...options, target: record.target })
      if (step.order === 'model_install') busy++
      if (step.progress !== before && step.progress.state === 'failed') failed++
      if (step.order) orders.push({ node: node.id, kind: step.order })
      if (step.progress !== before) changed[node.id] = step.progress
    }
    const now = { ...record, nodes: changed }
    const count = countsOf(now, nodes).find((one) => one.group === group)!
    const verdict = verdictOf(count, options)
    if (verdict.kind !== 'done') return { record: now, orders, verdict }
  }
  return { record: { ...record, nodes: changed, outcome: 'done' }, orders, verdict: { kind: 'done' } }
}

/** Whether a group is done, goes on, or stops the rollout. */
function verdictOf(
  { group, nodes, done, busy, failed, offline, waiting }: GroupCount,
  options: RolloutOptions,
): Verdict {
  if (failed > options.allowed(nodes))
    return {
      kind: 'stopped',
      sentence: `${group}: ${failed} of ${nodes} nodes failed, and ${options.allowed(nodes)} may`,
    }
  if (nodes === 0) return { kind: 'stopped', sentence: `${group}: the broker knows no node of this group` }
  if (busy + waiting > 0) return { kind: 'going' }
  if (done < nodes * options.minDone)
    return {
      kind: 'stopped',
      sentence: `${group}: ${done} of ${nodes} nodes are done and ${offline} are offline; ${Math.round(options.minDone * 100)} % must be done before the next group`,
    }
  return { kind: 'done' }
}

/** Reads `1%` or `3`: the failures that a group of a size may have. Null for other text. */
export function allowance(text: string): ((size: number) => number) | null {
  const [, number, percent] = /^(\d+(?:\.\d+)?)(%?)$/.exec(text) ?? []
  if (number === undefined) return null
  const value = Number(number)
  if (percent === '') return Number.isInteger(value) ? () => value : null
  return value <= 100 ? (size) => Math.floor((size * value) / 100 + 1e-9) : null
}
