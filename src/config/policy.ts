/** The part `policy` of the configuration: from scores to a label. */
import { z } from 'zod'
import { policyDefaults } from '../decision/policy.js'
import { share } from './region.js'

export const policy = z.strictObject({
  threshold: share
    .default(policyDefaults.threshold)
    .describe('minimum score of a label; below it the label is unknown'),
  hysteresis: share.default(policyDefaults.hysteresis).describe('how far above the threshold a new label must rise'),
  consecutive: z.int().min(1).default(policyDefaults.consecutive).describe('consecutive frames that a new label needs'),
  margin: share.default(policyDefaults.margin).describe('minimum lead of a new label over the second best'),
  smoothingMs: z
    .number()
    .min(0)
    .default(policyDefaults.smoothingMs)
    .describe('time constant of the smoothing of scores'),
  staleAfterMs: z
    .number()
    .min(100)
    .default(policyDefaults.staleAfterMs)
    .describe('after this long without a frame the label is unknown'),
})

type Shape = typeof policy.shape
type Options = { [Name in keyof Shape]: ReturnType<Shape[Name]['unwrap']> }

/** Every option of the policy without its default. */
export const policyOptions = Object.fromEntries(
  Object.entries(policy.shape).map(([name, option]) => [name, option.unwrap().describe(option.description ?? '')]),
) as unknown as Options
