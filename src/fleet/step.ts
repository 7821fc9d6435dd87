/** One node on its way to a bundle: what to do next, from what it says of itself. Pure. */
import type { FleetNode } from './census.js'
import type { Answer, OrderKind } from './orders.js'
import type { Progress, Target } from './record.js'

export interface StepOptions {
  readonly target: Target
  /** How long a node must serve the bundle, online, before it is confirmed. */
  readonly watchMs: number
  /** How long an order may stay without effect. */
  readonly orderMs: number
}

export interface Step {
  readonly progress: Progress
  readonly order?: OrderKind
}

/** `mayOrder`: whether one more node may be changed now. */
export function stepOf(
  node: FleetNode,
  before: Progress,
  answer: Answer | null,
  nowMs: number,
  mayOrder: boolean,
  { target, watchMs, orderMs }: StepOptions,
): Step {
  const to = (state: Progress['state'], reason?: string): Step => ({
    progress: { state, sinceMs: nowMs, ...(reason === undefined ? {} : { reason }) },
  })
  const stay: Step = { progress: before }
  if (before.state === 'done' || before.state === 'failed') return stay
  if (node.isTwin) return to('failed', 'two devices have this id')
  const bundle = node.bundles.get(target.name)
  const isServing = bundle?.installed === target.digest
  const hasIt = isServing || bundle?.candidate === target.digest
  const isLate = nowMs - before.sinceMs > orderMs
  if (isServing && bundle.state === 'settled') return to('done')
  switch (before.state) {
    case 'waiting':
      if (hasIt) return to('watching')
      return node.isOnline && mayOrder ? { ...to('ordered'), order: 'model_install' } : stay
    case 'ordered':
      if (answer?.isOk === false) return to('failed', answer.error)
      if (hasIt) return to('watching')
      return isLate ? to('failed', `not installed within ${Math.round(orderMs / 1000)} s`) : stay
    case 'watching':
      if (!hasIt) return to('failed', bundle?.fault ?? 'it went back to another bundle')
      if (nowMs - before.sinceMs < watchMs) return stay
      if (node.isOnline) return { ...to('confirming'), order: 'model_confirm' }
      return nowMs - before.sinceMs > watchMs + orderMs ? to('failed', 'offline since it has the bundle') : stay
    case 'confirming':
      if (answer?.isOk === false) return to('failed', answer.error)
      if (!hasIt) return to('failed', bundle?.fault ?? 'it went back to another bundle')
      // A candidate that left the shadow serves on probation now, and is watched again.
      if (answer?.isOk && answer.state === 'probation') return to('watching')
      return isLate ? to('failed', 'not confirmed in time') : stay
  }
}
