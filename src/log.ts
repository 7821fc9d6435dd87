/**
 * The log: pino on stderr. Each entry is one line: JSON by default, a short readable line on a terminal, and a line
 * with its priority in front for systemd's journal, which adds the time. stdout belongs to results. No line contains a
 * secret.
 */
import { fstatSync } from 'node:fs'
import { pino, type Logger } from 'pino'
import { redact } from './secrets.js'

export type { Logger }
export const logLevels = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const
export type LogLevel = (typeof logLevels)[number]

/** Limit, in characters, of the lines that wait while stderr does not accept them (a file on a full disk). */
const maxWaiting = 1 << 20

/** Writes to stderr synchronously, so that the last line before an exit is not lost. */
export function createLogger(level: LogLevel): Logger {
  const stderr = pino.destination({ fd: 2, sync: true, maxLength: maxWaiting })
  // The program continues when the log cannot be written.
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

/**
 * Whether stderr goes to systemd's journal, which names the stream by device and inode (systemd.exec(5),
 * $JOURNAL_STREAM).
 */
export function isJournal(environment: NodeJS.ProcessEnv = process.env): boolean {
  const { JOURNAL_STREAM: stream } = environment
  if (stream === undefined) return false
  const { dev, ino } = fstatSync(2)
  return stream === `${dev}:${ino}`
}

/** The journal's priorities (sd-daemon(3)), as in syslog: 0 is the most severe. */
const priorities: Readonly<Record<string, number>> = { fatal: 2, error: 3, warn: 4, info: 6, debug: 7, trace: 7 }

/** A text for the journal: each line with its priority in front. */
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
