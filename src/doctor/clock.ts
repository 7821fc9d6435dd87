/** Whether wall time can be believed: certificates and timestamps need it. */
import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { checksOf, type Examination } from './check.js'

const { ok, warn, fail } = checksOf('clock')
/** No gapcam is older than this. */
const earliest = Date.UTC(2025, 0, 1)

export const examineClock: Examination = async () => {
  const now = new Date()
  if (now.getTime() < earliest)
    return [
      fail(
        'time',
        `the clock says ${now.toISOString()}: it was never set since the board lost power`,
        'Connect to a network with a time server (timedatectl set-ntp true), or fit a battery for the clock.',
      ),
    ]
  const synced = await isSynced()
  if (synced === null)
    return [
      warn(
        'time',
        `${now.toISOString()}; nobody says whether it is synchronised (no timedatectl)`,
        'Install systemd-timesyncd or chrony.',
      ),
    ]
  return [
    synced
      ? ok('time', `${now.toISOString()}, synchronised`)
      : warn(
          'time',
          `${now.toISOString()}, not synchronised`,
          'timedatectl set-ntp true, and let UDP port 123 out; timestamps carry clockSynced: false until then.',
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
