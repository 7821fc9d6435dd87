// Bundles the local page into dist/server/web: one script and one style sheet.
import { build } from 'esbuild'
import { copyFileSync, mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const from = fileURLToPath(new URL('../../src/server/web/', import.meta.url))
const to = fileURLToPath(new URL('../../dist/server/web/', import.meta.url))

export async function buildPage() {
  mkdirSync(to, { recursive: true })
  await build({
    entryPoints: { page: `${from}main.ts` },
    bundle: true,
    minify: true,
    format: 'iife',
    target: ['es2022', 'safari16'],
    outdir: to,
    logLevel: 'warning',
    legalComments: 'none',
  })
  await build({
    entryPoints: { page: `${from}page.css` },
    bundle: true,
    minify: true,
    target: ['es2022', 'safari16'],
    outdir: to,
    logLevel: 'warning',
  })
  for (const file of ['index.html', 'icon.svg']) copyFileSync(from + file, to + file)
}
