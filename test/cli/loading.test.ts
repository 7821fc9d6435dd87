/** A command loads only the packages that it needs: each one takes a tenth of a second on a small board. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, it } from 'vitest'
import { cleanEnvironment, cli, endAll, launch } from '../process.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-loading-'))
const hook = join(folder, 'hook.mjs')
writeFileSync(
  hook,
  `import Module from 'node:module'
process.on('exit', () => {
  const packages = new Set(Object.keys(Module._cache).flatMap((file) => /node_modules\\/((?:@[^/]+\\/)?[^/]+)/.exec(file)?.[1] ?? []))
  process.stderr.write('loaded: ' + [...packages].join(' ') + '\\n')
})
`,
)
afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true }))

async function loadedBy(...args: string[]): Promise<string[]> {
  const child = launch(process.execPath, ['--import', hook, cli, ...args], {
    env: cleanEnvironment(),
    cwd: projectRoot,
  })
  expect(await child.ended, child.stderr()).toBe(0)
  return /^loaded: (.*)$/m.exec(child.stderr())![1]!.split(' ')
}

const heavy = ['aedes', 'fastify', 'mqtt', 'onnxruntime-node', 'prom-client', 'sharp', 'yaml']

it.each([
  [['cameras', '--help'], []],
  [['config', 'show'], ['yaml']],
  [['model', 'info', 'models/convnet-gap.onnx'], ['yaml']],
  [['mqtt', '--help'], ['yaml']],
  [
    ['classify', 'models/photos/cat.jpg'],
    ['sharp', 'yaml'],
  ],
])('%j loads of the large packages only %j', async (args, packages) => {
  expect((await loadedBy(...args)).filter((name) => heavy.includes(name)).sort()).toEqual(packages)
})

it('a command imports no other command', () => {
  const textOf = (name: string): string => readFileSync(join(projectRoot, 'src/cli', `${name}.ts`), 'utf8')
  const commands = [...textOf('program').matchAll(/import\('\.\/([\w-]+)\.js'\)/g)].map(([, name]) => name!)
  expect(commands.length).toBeGreaterThan(10)
  const stray = commands.flatMap((name) =>
    [...textOf(name).matchAll(/'\.\/([\w-]+)\.js'/g)]
      .filter(([, other]) => commands.includes(other!))
      .map(([, other]) => `${name} imports ${other}`),
  )
  expect(stray).toEqual([])
})
