/** Cron lines: when a zone looks by the clock. */
import { Cron } from 'croner'

/** Why a cron line cannot be used in a time zone; null where it can. */
export function scheduleFault(line: string, timezone: string | undefined): string | null {
  if (timezone !== undefined && !isTimezone(timezone))
    return `there is no time zone ${timezone}; use a name such as Europe/Berlin`
  try {
    return new Cron(line, optionsOf(timezone)).nextRun() === null ? 'never fires; check its day and month' : null
  } catch {
    return 'is not a cron line; it has five parts: minute, hour, day of the month, month, day of the week, such as "*/15 6-20 * * *"'
  }
}

/** The first time of a valid line after `afterMs`, wall time in milliseconds; null where there is none. */
export function nextTime(line: string, timezone: string | undefined, afterMs: number): number | null {
  return new Cron(line, optionsOf(timezone)).nextRun(new Date(afterMs))?.getTime() ?? null
}

function optionsOf(timezone: string | undefined): { readonly timezone?: string } {
  return timezone === undefined ? {} : { timezone }
}

function isTimezone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name })
    return true
  } catch {
    return false
  }
}
