/** The commands about bundles: rows of the table in commands.ts. */
import { z } from 'zod'
import { GapcamError } from '../../errors.js'
import type { BarePayload } from '../../publish/request.js'
import type { BundleService } from './service.js'
import type { Fields } from '../commands/fields.js'
import { available, Refusal } from '../commands/refusal.js'

/** What handles bundles on a node. */
export type BundleTarget = Pick<BundleService, 'install' | 'confirm' | 'rollback' | 'report' | 'picture'>

/** What the commands act on. */
export interface BundleContext {
  readonly target: { readonly bundles?: BundleTarget | undefined }
}

const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,63}$/, 'must consist of a-z, 0-9 and -')
  .optional()

function row<Shape extends z.ZodRawShape>(given: {
  readonly fields: Shape
  readonly bare?: BarePayload
  readonly takes: string
  readonly does: string
  readonly perform: (bundles: BundleTarget, fields: z.output<z.ZodObject<Shape>>) => Promise<Fields>
}) {
  const { perform, bare = 'name', ...rest } = given
  return {
    ...rest,
    bare,
    zone: 'none' as const,
    perform: ({ target }: BundleContext, fields: never): Promise<Fields> =>
      perform(available(target.bundles), fields).catch((error: unknown) => {
        throw asRefusal(error)
      }),
  }
}

/** A bundle that is refused, or a step that is not possible now, is an answer to the sender. */
function asRefusal(error: unknown): unknown {
  const isAnswer = error instanceof GapcamError && (error.code === 'BUNDLE_REFUSED' || error.code === 'BUNDLE_STATE')
  return isAnswer ? new Refusal('invalid', error.message) : error
}

/** Rows of the table of commands. */
export const bundleCommands = {
  model_install: row({
    fields: {
      name,
      digest: z
        .string()
        .regex(/^(latest|[0-9a-f]{64})$/, 'must be latest or a SHA-256 digest')
        .optional(),
    },
    takes: '`name`, `digest`',
    does: "installs a [bundle](bundles.md) from `models.sources`: the one with this digest, or the newest whose signature is trusted, with `passed_over`, the sentences about newer ones; `name` is the node's own by default. A plain `latest` is the newest",
    perform: (bundles, { name: wanted, digest }) =>
      bundles.install({ name: wanted, digest: digest === 'latest' ? undefined : digest }),
  }),
  model_confirm: row({
    fields: { name },
    takes: '`name`',
    does: 'lets a candidate serve, or ends the probation of the [bundle](bundles.md) that serves',
    perform: (bundles, { name: wanted }) => bundles.confirm(wanted),
  }),
  model_rollback: row({
    fields: { name },
    takes: '`name`',
    does: 'goes back to the [bundle](bundles.md) before',
    perform: (bundles, { name: wanted }) => bundles.rollback(wanted),
  }),
}
