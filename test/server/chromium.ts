/** A real Chromium with a new profile and no background work. */
import { join } from 'node:path'
import { chromium, type Browser, type LaunchOptions } from 'playwright-core'
import { projectRoot } from '../shared.js'

const { chromiumPath, chromiumOptions } = (await import(join(projectRoot, 'scripts/docs/chromium.mjs'))) as {
  chromiumPath: string | undefined
  chromiumOptions: LaunchOptions
}

/** With CI=true it must exist: the tests then fail instead of being skipped. */
export const hasChromium = chromiumPath !== undefined || process.env['CI'] === 'true'

export function launchChromium(): Promise<Browser> {
  return chromium.launch(chromiumOptions)
}
