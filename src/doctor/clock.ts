/** Checks whether wall time is right: certificates and timestamps depend on it. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { localDateTime } from '../clock.js'
import { checksOf, type Examination } from './check.js'

const { ok, warn, fail } = checksOf('clock')
/** gapcam did not exist before this, so an earlier time is wrong. */
const earliest = Date.UTC(2025, 0, 1)

/** The checks of the area `clock`. */
export const examineClock: Examination = async () => {
  const now = new Date()
  const time = localDateTime(now)
  if (now.getTime() < earliest)
    return [
      fail(
        'time',
        `the clock shows ${time}, so it has not been set since the board lost power`,
        'Connect the board to a network with a time server (timedatectl set-ntp true), or add a battery for its clock.',
      ),
    ]
  const synced = await isSynced()
  if (synced === null)
    return [
      warn(
        'time',
        `${time}; it is unknown whether the clock is synchronised, because timedatectl does not answer`,
        'Install a time service such as systemd-timesyncd or chrony.',
      ),
    ]
  return [
    synced
      ? ok('time', `${time}, synchronised`)
      : warn(
          'time',
          `${time}, not synchronised`,
          'Run timedatectl set-ntp true, and allow outgoing UDP to port 123. Until then messages carry clockSynced: false.',
        ),
  ]
}

function isSynced(): Promise<boolean | null> {
  if (existsSync('/run/systemd/timesync/synchronized')) return Promise.resolve(true)
  return new Promise((resolve) => {
    execFile('timedatectl', ['show', '--property=NTPSynchronized', '--value'], { timeout: 5000 }, (error, stdout) =>
      resolve(error ? null : stdout.trim() === 'yes'),
    )
  })
}
