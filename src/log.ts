/**
 * The log: pino on stderr, one JSON object a line; a short human line on a terminal; and to the journal the same line
 * with its priority in front, since the journal knows the time. stdout belongs to results. No line holds a secret.
 */
import { fstatSync } from 'node:fs'
import { pino, type Logger } from 'pino'
import { redact } from './secrets.js'

export type { Logger }
export const logLevels = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const
export type LogLevel = (typeof logLevels)[number]

/** Lines that stderr does not take (a file on a full disk) wait for room, up to so many characters. */
const maxWaiting = 1 << 20

/** Writes to stderr synchronously, so that the last line before an exit is not lost. */
export function createLogger(level: LogLevel): Logger {
  const stderr = pino.destination({ fd: 2, sync: true, maxLength: maxWaiting })
  // A log that cannot be written is no reason to end.
  stderr.on('error', () => undefined)
  const shape = isJournal() ? journalLine : process.stderr.isTTY ? humanLine : (line: string): string => line
  const stream = {
    write: (line: string): void => {
      stderr.write(redact(shape(line)))
    },
  }
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
    },
    stream,
  )
}

/** Whether stderr goes to systemd's journal: it says so by device and inode of the stream (systemd.exec(5), $JOURNAL_STREAM). */
export function isJournal(environment: NodeJS.ProcessEnv = process.env): boolean {
  const { JOURNAL_STREAM: stream } = environment
  if (stream === undefined) return false
  const { dev, ino } = fstatSync(2)
  return stream === `${dev}:${ino}`
}

/** The journal's priorities (sd-daemon(3)): of syslog, 0 is the worst. */
const priorities: Readonly<Record<string, number>> = { fatal: 2, error: 3, warn: 4, info: 6, debug: 7, trace: 7 }

/** A text of ours as the journal wants it: each line with its priority in front. */
export function forJournal(level: LogLevel, text: string): string {
  return text.replace(/^(?=.)/gm, `<${priorities[level] ?? 6}>`)
}

function journalLine(line: string): string {
  const { level, time: _time, msg, ...rest } = JSON.parse(line) as { level: LogLevel; time: string; msg: string }
  return `${forJournal(level, `${msg}${fieldsOf(rest)}`)}\n`
}

function humanLine(line: string): string {
  const { level, time, msg, ...rest } = JSON.parse(line) as { level: string; time: string; msg: string }
  return `${time.slice(11, 23)} ${level.padEnd(5)} ${msg}${fieldsOf(rest)}\n`
}

function fieldsOf(rest: Readonly<Record<string, unknown>>): string {
  return Object.entries(rest)
    .map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join('')
}
