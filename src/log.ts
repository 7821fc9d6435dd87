/** The log: pino on stderr, one JSON object a line, or a short human line on a terminal. stdout belongs to results. */
import { pino, type Logger } from 'pino'

export type { Logger }
export const logLevels = ['silent', 'fatal', 'error', 'warn', 'info', 'debug', 'trace'] as const
export type LogLevel = (typeof logLevels)[number]

/** Writes to stderr synchronously, so that the last line before an exit is not lost. */
export function createLogger(level: LogLevel): Logger {
  const stream = process.stderr.isTTY ? { write: (line: string): void => { process.stderr.write(humanLine(line)) } } : pino.destination({ fd: 2, sync: true })
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime, formatters: { level: (label) => ({ level: label }) } }, stream)
}

function humanLine(line: string): string {
  const { level, time, msg, ...rest } = JSON.parse(line) as { level: string; time: string; msg: string }
  const fields = Object.entries(rest).map(([key, value]) => ` ${key}=${typeof value === 'string' ? value : JSON.stringify(value)}`).join('')
  return `${time.slice(11, 23)} ${level.padEnd(5)} ${msg}${fields}\n`
}
