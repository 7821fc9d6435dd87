/** The house keeps its order: imports go one way, kernels stand alone, files are short enough to read. */
import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { expect, it } from 'vitest'
import { projectRoot } from './shared.js'

function filesOf(folder: string, pattern: RegExp): string[] {
  return readdirSync(join(projectRoot, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && pattern.test(entry.name)).map((entry) => relative(projectRoot, join(entry.parentPath, entry.name)))
}

const sources = filesOf('src', /\.ts$/)

/** The stage or layer of a source file: its folder, or its name where it lies at the top. */
const part = (file: string): string => file.replace(/^src\//, '').replace(/\.ts$/, '').split('/')[0]!

/** What everyone may use. */
const common = ['frame', 'tensor', 'prediction', 'decision', 'errors', 'log', 'clock', 'addon', 'secrets', 'sharp', 'version']

/** What each part may use besides itself and what is common. */
const allowed: Readonly<Record<string, readonly string[]>> = {
  addon: [], clock: [], decision: [], errors: [], frame: [], health: [], layout: [], log: [], metrics: [], prediction: [], progress: [], secrets: [], sharp: [], tensor: [], version: [],
  camera: [], config: ['policy', 'lens'], 'cuda-restart': ['config', 'engine', 'state-file'], engine: ['model', 'preprocess'], model: [], policy: [], publish: ['state-file'],
  preprocess: ['preprocess-plain'], 'preprocess-plain': ['preprocess'],
  session: ['engine', 'layout'], functional: ['model', 'layout'], index: ['session', 'functional', 'engine'],
  geometry: ['preprocess', 'preprocess-plain'], heat: ['engine', 'model', 'preprocess', 'geometry'],
  classifier: ['engine', 'heat', 'model', 'preprocess'], supervisor: ['camera', 'progress'], 'service-manager': [], service: ['config'], watchdog: ['progress', 'service-manager'],
  picture: ['geometry', 'heat', 'preprocess'], jpeg: ['picture'],
  'state-file': [], switch: [], settings: ['config', 'policy', 'preprocess', 'state-file'], commands: ['config', 'settings'],
  device: ['classifier', 'health', 'publish'], control: ['classifier', 'commands', 'config', 'heat', 'jpeg', 'picture', 'pipeline', 'publish', 'recording', 'settings'],
  pipeline: ['classifier', 'config', 'metrics', 'picture', 'policy', 'preprocess', 'progress', 'publish', 'recording', 'settings', 'sight'],
  eval: [], recording: ['classifier', 'engine', 'policy', 'preprocess'], lens: ['geometry', 'preprocess'], sight: ['classifier', 'config', 'geometry', 'heat', 'lens', 'picture', 'preprocess'],
  runtime: ['camera', 'classifier', 'commands', 'config', 'control', 'cuda-restart', 'health', 'metrics', 'pipeline', 'policy', 'progress', 'publish', 'recording', 'settings', 'supervisor', 'switch'],
  doctor: ['camera', 'classifier', 'config', 'engine', 'health', 'preprocess', 'publish'],
  server: ['camera', 'classifier', 'commands', 'config', 'health', 'jpeg', 'metrics', 'picture', 'publish', 'runtime', 'settings'],
}

/** The parts that a file imports, at once or when it needs them. */
function importsOf(file: string): string[] {
  const text = readFileSync(join(projectRoot, file), 'utf8')
  return [...text.matchAll(/(?:from |import\()'(\.[^']+)'/g)].map(([, path]) => part(join(dirname(file), path!)).replace(/\.js$/, ''))
}

/** `file imports part` for each import that goes against the order. */
function strayImports(file: string): string[] {
  const own = part(file)
  if (own === 'cli') return []
  return importsOf(file).filter((other) => ![own, ...common, ...(allowed[own] ?? [])].includes(other)).map((other) => `${file} imports ${other}`)
}

it('imports go one way, cli to runtime to stages', () => {
  expect(sources.length).toBeGreaterThan(50)
  expect(sources.map(part).filter((own) => own !== 'cli' && !(own in allowed)), 'parts that have no row above').toEqual([])
  expect(sources.flatMap(strayImports)).toEqual([])
})

it('nothing is allowed that nobody does', () => {
  const done = new Set(sources.flatMap((file) => importsOf(file).map((other) => `${part(file)} imports ${other}`)))
  expect(Object.entries(allowed).flatMap(([own, others]) => others.map((other) => `${own} imports ${other}`)).filter((row) => !done.has(row))).toEqual([])
})

it('nothing is exported that nobody uses', () => {
  const texts = new Map([...sources, ...filesOf('test', /\.ts$/), ...filesOf('scripts', /\.mjs$/)].map((file) => [file, readFileSync(join(projectRoot, file), 'utf8')]))
  const words = new Map([...texts].map(([file, text]) => [file, text.match(/\w+/g) ?? []]))
  const usesOf = new Map<string, number>()
  for (const list of words.values()) for (const word of list) usesOf.set(word, (usesOf.get(word) ?? 0) + 1)
  const unused = sources.flatMap((file) => [...texts.get(file)!.matchAll(/^export (?:async )?(?:function|const|class|interface|type) (\w+)/gm)]
    .flatMap(([, name]) => (usesOf.get(name!) === 1 ? [`${file} exports ${name}`] : [])))
  expect(unused).toEqual([])
})

it('kernels and targets need neither Node nor the standard containers', () => {
  const stray = [...filesOf('native/kernels', /./), ...filesOf('native/targets', /./)].flatMap((file) =>
    [...readFileSync(join(projectRoot, file), 'utf8').matchAll(/#include [<"]([^>"]+)[>"]/g)].map(([, name]) => `${file} includes ${name}`)
      .filter((line) => /(napi|node_api| (vector|string|map|memory|functional|algorithm)$)/.test(line)))
  expect(stray).toEqual([])
})

it('every file is read in a sitting: 400 lines at the most', () => {
  const files = [...sources, ...filesOf('native', /\.(cc|h|inl|cu|cuh)$/), ...filesOf('scripts', /\.mjs$/), ...filesOf('test', /\.ts$/)]
  expect(files.filter((file) => readFileSync(join(projectRoot, file), 'utf8').split('\n').length > 401)).toEqual([])
})
