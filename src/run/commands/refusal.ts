/** Why a command is not executed, as its answer says it. */
import { GapcamError } from '../../errors.js'

/** `invalid`: the sender's mistake. `not_available`: not in this gapcam. `busy`: try again. `failed`: it was tried. */
export type CommandFault = 'invalid' | 'not_available' | 'busy' | 'failed'

/** Thrown by a command that changes nothing. */
export class Refusal extends Error {
  readonly code: CommandFault
  constructor(code: CommandFault, message: string) {
    super(message)
    this.code = code
  }
}

/** What kind of fault an error is. */
export function faultOf(error: unknown): CommandFault {
  if (error instanceof Refusal) return error.code
  return error instanceof GapcamError && error.code === 'CONFIG_INVALID' ? 'invalid' : 'failed'
}

/** The function of a node; throws Refusal where this node does not have it. */
export function available<T>(part: T | undefined): T {
  if (part === undefined) throw new Refusal('not_available', 'not available')
  return part
}
