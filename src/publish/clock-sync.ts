/**
 * Whether the wall clock can be believed: a board without a battery starts in 1970 or at its last shutdown. Node has
 * no adjtimex(2), so this asks those who have: systemd-timesyncd leaves a file when it has set the clock, and
 * systemd's timedated tells the kernel's answer, which is right for chrony and ntpd too. Where neither can say, no.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'

export interface ClockSync {
  isSynced(): boolean
  close(): void
}

const timesyncFile = '/run/systemd/timesync/synchronized'
const askEveryMs = 60_000

/** Asks now and once a minute until the answer is yes; a clock that has been set stays near enough. */
export function watchClockSync(): ClockSync {
  let isSynced = existsSync(timesyncFile)
  const ending = new AbortController()

  const ask = (): void => {
    const options = { timeout: 5_000, signal: ending.signal }
    execFile('timedatectl', ['show', '--property=NTPSynchronized', '--value'], options, (error, stdout) => {
      isSynced ||= existsSync(timesyncFile) || (!error && stdout.trim() === 'yes')
      if (isSynced) clearInterval(timer)
    })
  }
  const timer = setInterval(ask, askEveryMs).unref()
  if (isSynced) clearInterval(timer)
  else ask()

  return {
    isSynced: () => isSynced,
    close() {
      clearInterval(timer)
      ending.abort()
    },
  }
}
