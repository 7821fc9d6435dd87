// Makes the npm packages: gapcam, and one package with the addon for each platform.
//   node scripts/build/npm-packages.mjs --out FOLDER                 builds the addons for arm64 and x64 with zig
//   node scripts/build/npm-packages.mjs --out FOLDER --arch arm64    for one of them
//   node scripts/build/npm-packages.mjs --out FOLDER --addons DIR    takes DIR/linux-ARCH/gapcam.node, and builds nothing
// Publish the platform packages first: npm publish FOLDER/gapcam-linux-arm64-VERSION.tgz --access public
import { spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync } from 'node:fs'
import { rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { buildNative } from '../build-native.mjs'
import { strip } from './strip.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'))
/** All platforms of the published package. */
export const platforms = ['linux-arm64', 'linux-x64']

/** npm's program: that of the npm that runs this script, else the one on the PATH. */
function npm(args, cwd) {
  const script = process.env.npm_execpath
  const command = script && existsSync(script) ? [process.execPath, script] : ['npm']
  const { status, stdout, stderr } = spawnSync(command[0], [...command.slice(1), ...args], { cwd, encoding: 'utf8' })
  if (status !== 0) throw new Error(`npm ${args[0]} failed: ${stderr}`)
  return stdout
}

const pack = (folder, out) =>
  join(out, JSON.parse(npm(['pack', '--json', '--ignore-scripts', '--pack-destination', out], folder))[0].filename)

const writeManifest = (folder, content) =>
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(content, null, 2)}\n`)

/** Packs one platform's addon. Its version is that of gapcam, which loads no other. */
function packPlatform(platform, addon, work, out) {
  const folder = join(work, platform)
  mkdirSync(folder)
  copyFileSync(addon, join(folder, 'gapcam.node'))
  copyFileSync(join(root, 'LICENSE'), join(folder, 'LICENSE'))
  copyFileSync(join(root, 'packaging/npm/README.md'), join(folder, 'README.md'))
  chmodSync(join(folder, 'gapcam.node'), 0o755)
  const [os, cpu] = platform.split('-')
  // zig's own C++ library brings debug information, with the paths of this machine.
  strip(join(folder, 'gapcam.node'), cpu, '--strip-debug')
  writeManifest(folder, {
    name: `@gapcam/${platform}`,
    version: manifest.version,
    description: `The native engine of gapcam for ${os} on ${cpu}`,
    license: manifest.license,
    os: [os],
    cpu: [cpu],
    libc: ['glibc'],
    files: ['gapcam.node'],
    main: 'gapcam.node',
  })
  return pack(folder, out)
}

/**
 * Packs gapcam. The platform packages become optional dependencies only here, since npm ci in a checkout would look for
 * them in the registry before they are published. What only a checkout needs is left out.
 */
async function packMain(work, out) {
  const folder = join(work, 'gapcam')
  const [{ files }] = JSON.parse(npm(['pack', '--json', '--dry-run', '--ignore-scripts'], root))
  for (const { path } of files) {
    if (path.startsWith('prebuilds/linux-')) continue
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    cpSync(join(root, path), join(folder, path))
  }
  const { writeManual } = await import('./manual.mjs')
  const pages = await writeManual(join(folder, 'man'))
  const { devDependencies: _development, allowScripts: _allowed, scripts, ...published } = manifest
  const versions = Object.fromEntries(platforms.map((platform) => [`@gapcam/${platform}`, manifest.version]))
  writeManifest(folder, {
    ...published,
    files: [...manifest.files, 'man'],
    man: pages.map((page) => `./man/${page}`),
    scripts: { 'build:native': scripts['build:native'] },
    optionalDependencies: { ...manifest.optionalDependencies, ...versions },
  })
  return pack(folder, out)
}

async function main() {
  const { values } = parseArgs({
    options: { out: { type: 'string' }, arch: { type: 'string' }, addons: { type: 'string' } },
  })
  if (!values.out) throw new Error('--out FOLDER is missing: where the packages go')
  if (!existsSync(join(root, 'dist/cli/main.js'))) throw new Error('dist/ is missing: run npm run build')
  const out = resolve(values.out)
  const wanted = platforms.filter((platform) => !values.arch || platform === `linux-${values.arch}`)
  if (wanted.length === 0) throw new Error(`--arch ${values.arch}: there are ${platforms.join(' and ')}`)
  const work = mkdtempSync(join(tmpdir(), 'gapcam-npm-'))
  try {
    mkdirSync(out, { recursive: true })
    const addons = values.addons ? resolve(values.addons) : join(work, 'addons')
    for (const platform of wanted) {
      const arch = platform.split('-')[1]
      if (!values.addons && !buildNative({ arch, zig: true, out: addons })) throw new Error(`no addon for ${platform}`)
      console.log(packPlatform(platform, join(addons, platform, 'gapcam.node'), work, out))
    }
    console.log(await packMain(work, out))
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  try {
    await main()
  } catch (error) {
    console.error(`npm-packages: ${error.message}`)
    process.exitCode = 1
  }
}
