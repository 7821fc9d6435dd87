// Debian's Chromium for Playwright, with a new profile and no background work: for screenshots and tests.
import { existsSync } from 'node:fs'

/** The program; undefined if it is not installed. */
export const chromiumPath = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
)

/** Options of playwright's launch. */
export const chromiumOptions = {
  executablePath: chromiumPath ?? '/usr/bin/chromium',
  headless: true,
  args: [
    '--no-sandbox',
    '--disable-gpu',
    '--disable-quic',
    '--no-first-run',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
  ],
}
