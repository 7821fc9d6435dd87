// Publishes the npm packages to a registry on this machine (verdaccio, fetched from npm), and installs gapcam from there as a
// new user would, in an empty folder without a compiler: for this processor, and for arm64, which runs under qemu. Then it
// tries a platform package of another version, and none. Prints one JSON object.
//   node scripts/try/npm-install.mjs [--packages FOLDER]    without FOLDER the packages are built with zig
import { spawn, spawnSync } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'

const root = fileURLToPath(new URL('../../', import.meta.url))
const cache = `${root}.cache/verdaccio`
const folder = mkdtempSync(join(tmpdir(), 'gapcam-registry-'))
const { values } = parseArgs({ options: { packages: { type: 'string' } } })

function must(command, args, options = {}) {
  const { status, stdout, stderr } = spawnSync(command, args, { encoding: 'utf8', ...options })
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} failed:\n${stdout}${stderr}`)
  return stdout
}

async function freePort() {
  const server = createServer()
  await new Promise((done) => server.listen(0, '127.0.0.1', done))
  const { port } = server.address()
  await new Promise((done) => server.close(done))
  return port
}

/** Starts verdaccio. Other packages come from the registry that npm uses otherwise. */
async function startRegistry() {
  const program = `${cache}/node_modules/verdaccio/bin/verdaccio`
  if (!existsSync(program)) {
    mkdirSync(cache, { recursive: true })
    // verdaccio asks for node-fetch by a tag, which not every registry keeps; it names this version.
    writeFileSync(`${cache}/package.json`, '{"private":true,"overrides":{"node-fetch":"2.6.7"}}')
    must('npm', ['install', '--no-audit', '--no-fund', '--ignore-scripts', 'verdaccio@6'], { cwd: cache })
  }
  const port = await freePort()
  const uplink = must('npm', ['config', 'get', 'registry']).trim()
  writeFileSync(
    join(folder, 'config.yaml'),
    `storage: ${join(folder, 'storage')}
max_body_size: 200mb
auth: { htpasswd: { file: ${join(folder, 'users')} } }
uplinks: { npm: { url: '${uplink}', maxage: 60m, timeout: 120s } }
packages:
  '@gapcam/*': { access: $all, publish: $all }
  gapcam: { access: $all, publish: $all }
  '**': { access: $all, proxy: npm }
log: { type: stdout, level: error }
`,
  )
  const child = spawn(
    process.execPath,
    [program, '--config', join(folder, 'config.yaml'), '--listen', `127.0.0.1:${port}`],
    {
      stdio: ['ignore', 2, 2],
    },
  )
  const url = `http://127.0.0.1:${port}/`
  for (let tries = 0; tries < 600; tries++) {
    if (
      await fetch(`${url}-/ping`).then(
        ({ ok }) => ok,
        () => false,
      )
    )
      return { child, url }
    await sleep(200)
  }
  child.kill()
  throw new Error('verdaccio did not start')
}

/** A PATH with Node, npm and a shell, and no compiler. */
function emptyPath() {
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  for (const name of ['sh', 'env', 'npm', 'npx'])
    symlinkSync(must('sh', ['-c', `command -v ${name}`]).trim(), join(bin, name))
  symlinkSync(process.execPath, join(bin, 'node'))
  return bin
}

/** An empty folder with a package of the user's, and gapcam installed there by npm. */
function install(name, env, ...options) {
  const home = join(folder, name)
  mkdirSync(home)
  const place = { cwd: home, env: { ...env, HOME: home } }
  must('npm', ['init', '-y'], place)
  const began = Date.now()
  must('npm', ['install', '--no-audit', '--no-fund', ...options, 'gapcam'], place)
  return { ...place, seconds: Math.round((Date.now() - began) / 1000) }
}

const picture = `${root}models/photos/bird.jpg`

/** What a command says of the picture: the engine and the label, or the sentence of its error. */
function classified([command, ...args], place) {
  const { stdout, stderr } = spawnSync(command, [...args, 'classify', '--json', picture], {
    encoding: 'utf8',
    ...place,
  })
  if (stdout === '')
    return {
      error:
        stderr
          .trim()
          .split('\n')
          .find((line) => line.startsWith('gapcam: ')) ?? stderr,
    }
  const { engine, target, engineReason, top } = JSON.parse(stdout.split('\n')[0])
  return { engine, target, engineReason, label: top[0].label }
}

const npx = ['npx', 'gapcam']
/** What gapcam says of a picture after each way to install it. */
function tryAll(env) {
  const here = install('home', env)
  const report = { seconds: here.seconds, installed: classified(npx, here) }
  const own = join(here.cwd, 'node_modules/@gapcam', `linux-${process.arch}`)
  const manifest = JSON.parse(readFileSync(join(own, 'package.json'), 'utf8'))
  writeFileSync(join(own, 'package.json'), JSON.stringify({ ...manifest, version: '0.0.1' }))
  report.otherVersion = classified(npx, withNative(here))
  rmSync(own, { recursive: true })
  report.withoutPackage = classified(npx, here)
  const bare = install('bare', env, '--omit=optional')
  report.withoutOptional = classified(npx, bare)
  // As after npm install onnxruntime-node sharp, without their 310 MB: this checkout has both.
  const link = (name) => symlinkSync(`${root}node_modules/${name}`, join(bare.cwd, 'node_modules', name))
  link('onnxruntime-node')
  report.withoutPictures = classified(npx, bare)
  for (const name of readdirSync(`${root}node_modules/@img`).filter((found) => found.startsWith('sharp-')))
    link(`@img/${name}`)
  report.withOnnxruntime = classified(npx, bare)
  if (!existsSync(arm64Node)) return report
  const there = install('arm64', env, '--os=linux', '--cpu=arm64', '--libc=glibc', '--force', '--ignore-scripts')
  const program = join(there.cwd, 'node_modules/gapcam/dist/cli/main.js')
  report.arm64 = classified(
    ['qemu-aarch64', '-cpu', 'cortex-a72', '-L', '/usr/aarch64-linux-gnu', arm64Node, program],
    { ...there, env: { ...there.env, PATH: process.env.PATH } },
  )
  return report
}

/** The native engine is asked for, so that no other one takes its place. */
const withNative = (place) => ({ ...place, env: { ...place.env, GAPCAM_ENGINE: 'native' } })
const arm64Node = `${root}.cache/tools/node_modules/node-arm64/bin/node`

async function main() {
  const packages = values.packages ? resolve(values.packages) : join(folder, 'packages')
  if (!values.packages) must(process.execPath, [`${root}scripts/build/npm-packages.mjs`, '--out', packages])
  const { child, url } = await startRegistry()
  try {
    const rc = join(folder, 'npmrc')
    writeFileSync(rc, `registry=${url}\n${url.replace('http:', '')}:_authToken=none\n`)
    const env = {
      ...process.env,
      npm_config_userconfig: rc,
      npm_config_registry: url,
      npm_config_cache: join(folder, 'npm'),
    }
    const archives = readdirSync(packages).filter((name) => name.endsWith('.tgz'))
    for (const name of archives) must('npm', ['publish', join(packages, name), '--access', 'public'], { env })
    const report = tryAll({ ...env, PATH: emptyPath() })
    process.stdout.write(`${JSON.stringify({ published: archives, ...report })}\n`)
  } finally {
    child.kill()
  }
}

await main()
  .catch((error) => {
    console.error(`npm-install: ${error.message}`)
    process.exitCode = 1
  })
  .finally(() => rmSync(folder, { recursive: true, force: true }))
