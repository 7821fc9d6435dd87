/** What a row of the table of commands consists of, and the functions of a node that rows call. */
import type { z } from 'zod'
import type { BarePayload } from '../../publish/request.js'
import type { BundleTarget } from '../bundles/commands.js'
import type { Fields } from './fields.js'
import type { Settings } from './settings.js'
import type { ZoneTarget } from '../zones/commands.js'
import type { TeachingTarget } from '../teaching/commands.js'

/**
 * The functions of the node that commands call. A missing function answers `not available`. A zone is named by its key;
 * names.ts says how commands name it.
 */
export interface CommandTarget extends ZoneTarget {
  /** Keys of all zones. */
  readonly zones: readonly string[]
  /** Ids of all cameras; default: those of the zones. */
  readonly cameras?: readonly string[] | undefined
  /** Publishes a picture of the next frame and says what it is. */
  readonly snapshot?: ((zone: string) => Promise<Fields>) | undefined
  readonly heat?: ((zone: string, label: string | undefined) => Promise<Fields>) | undefined
  /** Publishes the labels of the next frame's places and says which colours they have. */
  readonly mask?: ((zone: string) => Promise<Fields>) | undefined
  /** Writes the last seconds to a file and says where. */
  readonly record?: ((zone: string) => Promise<Fields>) | undefined
  /** Says what the next frame shows. */
  readonly classifyNow?: ((zone: string) => Promise<Fields>) | undefined
  readonly teaching?: TeachingTarget | undefined
  /** Takes the next picture of a camera as the view of its regions. False where no region follows the view. */
  readonly acceptView?: ((camera: string, isSame: boolean) => boolean) | undefined
  readonly bundles?: BundleTarget | undefined
  /** Called after the answer is on its way. */
  readonly restart?: (() => void) | undefined
  readonly reload?: (() => Fields) | undefined
  readonly info: () => Fields
}

/** What a row has at hand. */
export interface CommandContext {
  readonly target: CommandTarget
  readonly settings: Settings
}

/**
 * Whether a command acts on a zone: on none, on any, or only on one that is enabled. `camera`: on a camera as well, by its
 * id. `seen`: the same, and only while it is enabled.
 */
export type ZoneNeed = 'none' | 'any' | 'enabled' | 'camera' | 'seen'

export interface CommandRow {
  /** The fields beside `kind`, and beside `camera` and `zone` where a zone is needed. */
  readonly fields: z.ZodRawShape
  readonly zone: ZoneNeed
  /** How a payload that is plain text is read. */
  readonly bare: BarePayload
  /** For documentation: the fields, and what the command does. */
  readonly takes: string
  readonly does: string
  readonly perform: (context: CommandContext, fields: never, zone: string) => Promise<Fields> | Fields
}

/** Infers the type of `fields` in `perform` from the row's own schema. */
export function row<Shape extends z.ZodRawShape>(
  given: Omit<CommandRow, 'fields' | 'perform'> & {
    readonly fields: Shape
    readonly perform: (
      context: CommandContext,
      fields: z.output<z.ZodObject<Shape>>,
      zone: string,
    ) => Promise<Fields> | Fields
  },
): CommandRow {
  return given as unknown as CommandRow
}
