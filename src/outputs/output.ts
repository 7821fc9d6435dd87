/** What each output is to the others. */
import type { Outbox } from '../publish/outbox/outbox.js'

/** Switches a zone or a camera; resolves with false where that failed. */
export type Switch = (place: string, value: boolean) => Promise<boolean>

/** One opened output. */
export interface OpenOutput {
  readonly name: string
  readonly outbox?: Outbox
  health(): Readonly<Record<string, unknown>>
  close(): Promise<void>
}
