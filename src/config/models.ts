/**
 * The part `models` of the configuration: models by name, for zones and the node, and whose bundles may be installed. Both lie
 * in one table, so five names are not free for models.
 */
import { z } from 'zod'
import { sourceFaultOf } from '../bundle/source-address.js'
import { duration } from './duration.js'
import { share } from './region.js'
import { id } from './id.js'

const named = z.strictObject({
  path: z.string().min(1).describe('ONNX or TFLite file'),
  labels: z.string().optional().describe('label file; default the one beside the model'),
})

/** A model that the configuration names. */
export type NamedModel = z.output<typeof named>

const bundles = z.strictObject({
  /** Files with public keys, PEM. */
  trust: z.array(z.string().min(1)).max(32).default([]),
  revoked: z
    .array(z.string().regex(/^[0-9a-f]{16}$/, 'must be the 16 digits that gapcam model verify prints'))
    .max(1000)
    .default([]),
  /** Folders, https addresses and repositories of OCI registries that bundles may be installed from over MQTT. */
  sources: z
    .array(
      z
        .string()
        .min(1)
        .max(1000)
        .superRefine((source, context) => {
          const fault = sourceFaultOf(source)
          if (fault !== null) context.addIssue({ code: 'custom', message: fault })
        }),
    )
    .max(32)
    .default([]),
  shadow: z
    .strictObject({
      every: z.int().min(1).max(10_000).default(10),
      budget: share.default(0.2),
    })
    .optional(),
  confirm: z
    .strictObject({
      after: duration(1000),
      agreement: share.default(0.97),
      noSlower: z.number().min(0.1).max(100).default(1.2),
    })
    .optional(),
})

const bundleKeys: ReadonlySet<string> = new Set(Object.keys(bundles.shape))
/** A model may have one of the five names, as it could before they meant something. */
const isBundleKey = (name: string, value: unknown): boolean =>
  bundleKeys.has(name) && !(typeof value === 'object' && value !== null && 'path' in value)

const whole = bundles.extend({ named: z.record(id, named) })

/** Models by name in `named`; the other keys are about bundles. */
export const models = z
  .record(z.string(), z.unknown(), 'must be a group of names')
  .transform((given, context): z.output<typeof whole> => {
    const entries = Object.entries(given)
    const own = Object.fromEntries(entries.filter(([name, value]) => isBundleKey(name, value)))
    const result = whole.safeParse({
      ...own,
      named: Object.fromEntries(entries.filter(([name, value]) => !isBundleKey(name, value))),
    })
    if (result.success) return result.data
    for (const issue of result.error.issues)
      context.issues.push({ ...issue, path: issue.path.filter((part) => part !== 'named'), input: given } as never)
    return z.NEVER
  })
