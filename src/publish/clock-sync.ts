/**
 * Whether the wall clock has been set: a board without a clock battery starts in 1970 or at its last shutdown. Node
 * does not offer adjtimex(2). systemd-timesyncd leaves a file when it has set the clock, and systemd's timedated passes
 * on the kernel's answer, which is right for chrony and ntpd too. Without either the answer is no.
 */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'

export interface ClockSync {
  isSynced(): boolean
  close(): void
}

const timesyncFile = '/run/systemd/timesync/synchronized'
const askEveryMs = 60_000

/** Asks now and once a minute until the answer is yes. A clock that was set once stays accurate enough. */
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
