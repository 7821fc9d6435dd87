/** The board's readings for the page, read in the background: reading may start a program, so it happens rarely. */
import type { BoardReader } from '../board.js'
import type { Soc } from './observer.js'

export interface BoardWatch {
  /** The last readings; null values before the first. */
  last(): Soc
  close(): void
}

const readEveryMs = 5000
/** Without visitors only every twelfth reading is taken: once a minute. */
const turnsWithoutVisitors = 12

/** Reads at once, then every five seconds while `hasVisitors()`, else once a minute. */
export function watchBoard(board: BoardReader, hasVisitors: () => boolean): BoardWatch {
  let last: Soc = { temperatureC: null, isThrottled: null, isUndervolted: null }
  let turn = 0
  async function read(): Promise<void> {
    const { soc_c, throttled, undervoltage } = await board.read()
    last = { temperatureC: soc_c ?? null, isThrottled: throttled ?? null, isUndervolted: undervoltage ?? null }
  }
  const timer = setInterval(() => {
    if (hasVisitors() || ++turn % turnsWithoutVisitors === 0) void read()
  }, readEveryMs)
  void read()
  return { last: () => last, close: () => clearInterval(timer) }
}
