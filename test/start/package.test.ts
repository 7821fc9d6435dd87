/** The package as npm would publish it, installed in an empty folder. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { cleanEnvironment, endAll, jsonLines, launch } from '../process.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-package-'))
const npm = join(projectRoot, '.cache/tools/node_modules/npm-11/bin/npm-cli.js')
const photo = join(projectRoot, 'models/photos/bird.jpg')

async function run(args: readonly string[], cwd = folder): Promise<string> {
  const program = launch(process.execPath, args, {
    cwd,
    env: { ...cleanEnvironment(), HOME: folder, npm_config_update_notifier: 'false' },
  })
  expect(await program.ended, program.stderr()).toBe(0)
  return program.stdout()
}

let files: string[]
beforeAll(async () => {
  const [packed] = JSON.parse(
    await run([npm, 'pack', '--json', '--ignore-scripts', '--pack-destination', folder], projectRoot),
  ) as { filename: string; files: { path: string }[] }[]
  files = packed!.files.map(({ path }) => path)
  writeFileSync(join(folder, 'package.json'), '{"private":true}')
  await run([npm, 'install', '--ignore-scripts', '--no-audit', '--no-fund', join(folder, packed!.filename)])
}, 180_000)
afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

it('contains the program, the page, the addon, the model and its licence, but no tests, fuzz corpora and build folders', () => {
  for (const path of [
    'dist/cli/main.js',
    'dist/index.d.ts',
    'dist/server/web/index.html',
    'dist/server/web/page.js',
    `prebuilds/${process.platform}-${process.arch}/gapcam.node`,
    'models/efficientnet-lite0.onnx',
    'LICENSE',
    'README.md',
    'CMakeLists.txt',
    'scripts/build-native.mjs',
  ]) {
    expect(files).toContain(path)
  }
  const stray = /^(test|build|\.cache|node_modules)|\.test\.|^native\/(test|fuzz|bench|cuda\/fake|cuda\/emulator)\//
  expect(files.filter((path) => stray.test(path))).toEqual([])
})

it.runIf(spawnSync('cmake', ['--version']).status === 0)(
  'has all files that CMake needs to configure the build of the addon (needs cmake)',
  async () => {
    const source = join(folder, 'node_modules/gapcam')
    const cmake = launch('cmake', ['-S', source, '-B', join(folder, 'build'), '-DGAPCAM_ADDON=ON'], {
      env: { ...cleanEnvironment(), NODE_PATH: join(projectRoot, 'node_modules') },
    })
    expect(await cmake.ended, cmake.stderr()).toBe(0)
  },
)

it('classifies a picture with npx gapcam classify', async () => {
  const [result] = jsonLines<{ engine: string; top: { label: string }[] }>(
    await run([npm, 'exec', '--offline', '--', 'gapcam', 'classify', '--json', photo]),
  )
  expect(result).toMatchObject({ engine: 'native', top: [{ label: 'chickadee' }, {}, {}, {}, {}] })
})

it('works as a library: GAP of 1 to 48 as (3, 4, 4) is 8.5, 24.5, 40.5', async () => {
  const program = `import { globalAveragePool } from 'gapcam'
    console.log(JSON.stringify([...globalAveragePool({ shape: [3, 4, 4], data: Array.from({ length: 48 }, (_, i) => i + 1) }).data]))`
  expect(JSON.parse(await run(['--input-type=module', '-e', program]))).toEqual([8.5, 24.5, 40.5])
})
