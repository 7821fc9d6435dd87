/** Packages that users install themselves: what gapcam says without them. The installation here is of links, without some packages. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, it } from 'vitest'
import { photo } from '../bundle/bundles.js'
import { cleanEnvironment, endAll, launch } from '../process.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-optional-'))
const packages = join(folder, 'node_modules')
const left = ['node-opcua', 'pg', 'libsql']
mkdirSync(packages)
for (const name of ['dist', 'models', 'package.json', 'prebuilds', 'build-x64', 'build-arm64'])
  symlinkSync(join(projectRoot, name), join(folder, name))
for (const name of readdirSync(join(projectRoot, 'node_modules')))
  if (!left.includes(name)) symlinkSync(join(projectRoot, 'node_modules', name), join(packages, name))

afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true }))

/** What gapcam says on stderr before it ends with an error. */
async function said(args: readonly string[], status = 2): Promise<string> {
  const links = ['--preserve-symlinks', '--preserve-symlinks-main']
  const run = launch(process.execPath, [...links, join(folder, 'dist/cli/main.js'), ...args], {
    env: cleanEnvironment(),
    cwd: folder,
  })
  expect(await run.ended, run.stderr()).toBe(status)
  return run.stderr()
}

const collect = ['collect', '--broker', 'mqtt://127.0.0.1:1']
const opcua = ['--broker', 'none', '--set', 'opcua.enabled=true', '--set', `stateDir=${folder}`]

it('opcua without node-opcua is one sentence and the command that installs it, with status 2', async () => {
  expect(await said(['run', photo, ...opcua])).toContain(
    'gapcam: opcua needs the package node-opcua, which is not installed\n' +
      'Install it beside gapcam with npm install node-opcua, on Node 20 node-opcua@2.182.0.\n',
  )
}, 60_000)

it('PostgreSQL without pg is too', async () => {
  expect(await said([...collect, '--postgres', 'postgres://db/x'])).toContain(
    'gapcam: PostgreSQL needs the package pg, which is not installed\nInstall it beside gapcam with npm install pg.\n',
  )
})

it.skipIf(isBuiltin('node:sqlite'))('SQLite without libsql is too (skipped where Node has SQLite)', async () => {
  expect(await said([...collect, '--sqlite', join(folder, 'a.db')])).toContain(
    'gapcam: SQLite needs the package libsql, which is not installed\n' +
      'Install it beside gapcam with npm install libsql, or use Node 22.13 or later.\n',
  )
})

/** Puts a package into the installation. */
function install(name: string, more: string, text: string): void {
  const place = join(packages, name)
  mkdirSync(place, { recursive: true })
  writeFileSync(join(place, 'package.json'), `{ "name": "${name}", "main": "index.js"${more} }`)
  writeFileSync(join(place, 'index.js'), text)
}

it('a package that is there and does not load is not called missing', async () => {
  install('pg', '', "throw new Error('no such syntax')\n")
  expect(await said([...collect, '--postgres', 'postgres://db/x'])).toContain(
    `gapcam: PostgreSQL needs the package pg, which does not load on Node ${process.versions.node}: no such syntax\n`,
  )
})

it('a package may be an ES module without a default export, as node-opcua 2.186 is', async () => {
  const client = "on() {}\n  async connect() { throw new Error('the named one') }\n"
  install('pg', ', "type": "module"', `export class Client {\n  ${client}}\n`)
  expect(await said([...collect, '--postgres', 'postgres://db/x'], 74)).toContain('PostgreSQL db/x: the named one')
})
