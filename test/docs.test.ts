/** The documents say what the code does: generated ones are fresh, links lead somewhere, examples run. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { endAll, launch } from './process.js'
import { projectRoot } from './shared.js'

const documents = [
  'README.md',
  'models/README.md',
  ...readdirSync(join(projectRoot, 'docs'))
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]
const read = (name: string): string => readFileSync(join(projectRoot, name), 'utf8')
afterEach(endAll)

it.each(['docs/generate', 'build/steps', 'bench/performance'])(
  'scripts/%s.mjs would change nothing',
  async (script) => {
    const run = launch(process.execPath, [join(projectRoot, `scripts/${script}.mjs`), '--check'])
    expect(await run.ended, run.stderr()).toBe(0)
  },
)

it('the README is at most 150 lines and leads with the two commands', () => {
  const lines = read('README.md').split('\n')
  expect(lines.length).toBeLessThanOrEqual(151)
  expect(lines.findIndex((line) => line.startsWith('npm start'))).toBeLessThan(10)
  expect(lines.findIndex((line) => line.startsWith('npm test'))).toBeLessThan(10)
})

it.each(documents)('every relative link of %s leads to a file, and to a heading of it', (name) => {
  for (const [, target] of read(name).matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^https?:/.test(target!)) continue
    const [path, heading] = target!.split('#') as [string, string | undefined]
    const file = path === '' ? name : join(dirname(name), path)
    expect(existsSync(resolve(projectRoot, file)), `${name}: ${target}`).toBe(true)
    if (heading) expect(headings(read(file)), `${name}: ${target}`).toContain(heading)
  }
})

/** All files and folders of the repository, as paths from its root. */
const tree = ['README.md', 'CMakeLists.txt'].concat(
  ['src', 'native', 'scripts', 'test', 'docs', 'models'].flatMap((top) =>
    (readdirSync(join(projectRoot, top), { recursive: true }) as string[]).map((path) => `${top}/${path}`),
  ),
)
const allMarkdown = tree.filter((file) => file.endsWith('.md'))

/** Whether a name, in which * and NAME stand for anything, is the end of a path in the tree (`isWhole`: all of a path). */
function isInTree(name: string, isWhole: boolean): boolean {
  const [exact, own] = [name.replace(/\/$/, ''), /\*|NAME/.test(name)]
  if (own) {
    const pattern = exact.replaceAll('.', '\\.').replaceAll('*', '[^/]*').replaceAll('NAME', '[^/]+')
    return tree.some((path) => new RegExp(`${isWhole ? '^' : '(^|/)'}${pattern}$`).test(path))
  }
  return tree.some((path) => path === exact || (!isWhole && path.endsWith(`/${exact}`)))
}

it('every path and source file that a document names exists', () => {
  const [paths, names] = [new Set<string>(), new Set<string>()]
  for (const file of allMarkdown) {
    const text = read(file)
    for (const [path] of text.matchAll(/(?<![\w./~-])(?:src|native|scripts|test|docs|models)\/[\w./*-]*[\w*/]/g))
      paths.add(`${file}: ${path}`)
    for (const [, name] of text.matchAll(/`([\w./*-]*[\w*]\.(?:ts|mjs|cc|h|inl|cu|def|py|css))`/g))
      if (!name!.startsWith('cuda_')) names.add(`${file}: ${name!.replace(/^(?:\.\.?\/)+/, '')}`)
  }
  expect(paths.size).toBeGreaterThan(150)
  expect(names.size).toBeGreaterThan(150)
  const missing = (found: ReadonlySet<string>, isWhole: boolean): string[] =>
    [...found].filter((entry) => !isInTree(entry.split(': ')[1]!, isWhole))
  expect([...missing(paths, true), ...missing(names, false)]).toEqual([])
})

it('every source file that a comment names exists', () => {
  const named = new Set<string>()
  for (const file of tree.filter((path) => /\.(?:ts|mjs|cc|h|inl|cu|py)$/.test(path)))
    for (const [, comment] of read(file).matchAll(/((?:^\s*\*|\/\/|\/\*|^#(?!include)).*)$/gm))
      for (const [name] of comment!.matchAll(
        /(?<![\w:/.<>{}$-])(?:[\w-]+\/)*[\w-]+\.(?:ts|mjs|cc|inl|cu|def|md)(?![\w.])/g,
      ))
        named.add(`${file}: ${name}`)
  expect(named.size).toBeGreaterThan(150)
  expect([...named].filter((entry) => !isInTree(entry.split(': ')[1]!, false))).toEqual([])
})

it('docs/architecture.md names every room, and every file that lies directly in src', () => {
  const [, rooms] = /## The rooms\n([\s\S]*?)\n## /.exec(read('docs/architecture.md'))!
  const inSource = tree.flatMap((path) => /^src\/([\w-]+)(?:\.ts)?$/.exec(path)?.[1] ?? [])
  expect(inSource.length).toBeGreaterThan(25)
  expect(inSource.filter((name) => !new RegExp(`(?<![\\w-])${name}(?![\\w-])`).test(rooms!))).toEqual([])
})

/** Anchors as forges make them. */
function headings(text: string): string[] {
  return [...text.matchAll(/^#+ (.*)$/gm)].map(([, title]) =>
    title!
      .toLowerCase()
      .replace(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  )
}

it('the library example of the README runs and gives the numbers beside it', async () => {
  const [, example] = /```js\n([\s\S]*?)```/.exec(read('README.md'))!
  const program = example!
    .replace("from 'gapcam'", `from '${join(projectRoot, 'dist/index.js')}'`)
    .replace(/^(globalAveragePool|conv2d)\((.*)\)\.data \/\/ .*$/gm, 'console.log(...$1($2).data)')
    .replace('model.describe() //', 'console.log(...logits.shape, model.describe().engine) //')
  const run = launch(process.execPath, ['--input-type=module', '-e', program], { cwd: projectRoot })
  expect(await run.ended, run.stderr()).toBe(0)
  expect(run.stdout()).toBe('8.5 24.5 40.5\n10\n1 10 native\n')
})

it('docs/gap.md has the figures of models/convnet.json', () => {
  const { gap, flatten } = JSON.parse(read('models/convnet.json')) as Record<
    'gap' | 'flatten',
    { parameters: number; headParameters: number; '32x32': { train: number; test: number } }
  >
  const text = read('docs/gap.md')
  const percent = (share: number): string => `${(share * 100).toFixed(1)} %`
  for (const net of [gap, flatten]) {
    expect(text).toContain(net.parameters.toLocaleString('en'))
    expect(text).toContain(net.headParameters.toLocaleString('en'))
    expect(text).toContain(`${percent(net['32x32'].train)} / ${percent(net['32x32'].test)}`)
  }
})
