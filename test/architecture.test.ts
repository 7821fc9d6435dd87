/** Each room imports only from rooms below it, kernels stand alone, files and functions are short enough to read. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { expect, it } from 'vitest'
import { functionsOf } from './cpp.js'
import { projectRoot } from './shared.js'

/**
 * The rooms of src/, from the ground up, and what each may import besides itself and the ground. A row may only name
 * rooms above it in this table, so no import can run upward or in a circle. A room is a folder with all that it holds;
 * of the files that lie directly in src/, `classifier` and `index` have rows of their own and the others are the
 * ground.
 */
const rooms: readonly (readonly [room: string, imports: readonly string[]])[] = [
  ['ground', []],
  ['decision', []],
  ['pixels', []],
  ['model', ['decision']],
  ['engine', ['decision', 'model', 'pixels']],
  ['quantize', ['engine', 'model']],
  ['heat', ['engine', 'model', 'pixels']],
  ['lens', ['decision', 'pixels']],
  ['eval', []],
  ['camera', ['pixels']],
  ['task', ['decision', 'engine', 'model', 'pixels']],
  ['classifier', ['decision', 'engine', 'heat', 'model', 'pixels', 'task']],
  ['check', ['classifier', 'decision', 'heat', 'model', 'pixels']],
  ['teach', ['classifier', 'decision', 'engine', 'heat', 'model', 'pixels']],
  ['bundle', ['classifier', 'model', 'pixels']],
  ['gallery', ['classifier', 'decision', 'engine', 'model', 'pixels', 'teach']],
  ['library', ['engine', 'model']],
  ['config', ['bundle', 'decision', 'lens', 'pixels']],
  ['collector', ['config', 'decision', 'engine', 'pixels', 'teach']],
  ['publish', ['decision']],
  ['backup', ['publish']],
  ['outputs', ['config', 'decision', 'publish']],
  ['recording', ['classifier', 'config', 'decision', 'engine', 'pixels']],
  ['service', ['config']],
  ['zone', ['classifier', 'config', 'decision', 'engine', 'heat', 'lens', 'pixels', 'publish', 'recording']],
  [
    'run',
    [
      'bundle',
      'camera',
      'classifier',
      'collector',
      'config',
      'decision',
      'engine',
      'gallery',
      'heat',
      'lens',
      'outputs',
      'pixels',
      'publish',
      'recording',
      'service',
      'teach',
      'zone',
    ],
  ],
  ['collect', ['publish']],
  ['fleet', ['publish']],
  ['doctor', ['camera', 'classifier', 'config', 'engine', 'pixels', 'publish']],
  [
    'server',
    [
      'camera',
      'classifier',
      'collector',
      'config',
      'decision',
      'gallery',
      'heat',
      'pixels',
      'publish',
      'run',
      'teach',
      'zone',
    ],
  ],
  ['index', ['decision', 'engine', 'library', 'run', 'server']],
]
const grounds = [
  'addon',
  'addon-capture',
  'addon-pixels',
  'arithmetic',
  'address',
  'board',
  'clock',
  'crc32',
  'errors',
  'folder',
  'frame',
  'half',
  'log',
  'metrics',
  'secrets',
  'optional-package',
  'state-file',
  'tensor',
  'version',
]

function filesOf(folder: string, pattern: RegExp): string[] {
  return readdirSync(join(projectRoot, folder), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && pattern.test(entry.name))
    .map((entry) => relative(projectRoot, join(entry.parentPath, entry.name)))
}

const textOf = (file: string): string => readFileSync(join(projectRoot, file), 'utf8')
const sources = filesOf('src', /\.ts$/)

function roomOf(file: string): string {
  const [first] = file
    .replace(/^src\//, '')
    .replace(/\.[jt]s$/, '')
    .split('/')
  return grounds.includes(first!) ? 'ground' : first!
}

/** The rooms that a file imports from, at load time or later. */
function importsOf(file: string): string[] {
  return [...textOf(file).matchAll(/(?:from |import\()\s*'(\.[^']+)'/g)].map(([, path]) =>
    roomOf(join(dirname(file), path!)),
  )
}

/** `file imports room`, for each import from another room. The command line may import everything. */
const arrows = sources
  .filter((file) => roomOf(file) !== 'cli')
  .flatMap((file) =>
    importsOf(file)
      .filter((other) => other !== roomOf(file))
      .map((other) => ({ file, room: roomOf(file), other })),
  )

it('every row of the table names only rooms above it', () => {
  const names = rooms.map(([room]) => room)
  const upward = rooms.flatMap(([room, imports]) =>
    imports.filter((other) => !names.slice(0, names.indexOf(room)).includes(other)).map((other) => `${room} ${other}`),
  )
  expect(upward).toEqual([])
})

/** The groups of files that reach each other by imports, types included. Tarjan's strongly connected components. */
function circlesOf(files: readonly string[]): string[][] {
  const imports = (file: string): string[] =>
    [...textOf(file).matchAll(/(?:from |import\()\s*'(\.[^']+)'/g)]
      .map(([, path]) => join(dirname(file), path!).replace(/\.js$/, '.ts'))
      .filter((other) => files.includes(other))
  const order = new Map<string, number>()
  const lowest = new Map<string, number>()
  const open: string[] = []
  const circles: string[][] = []
  const visit = (file: string): number => {
    order.set(file, order.size)
    lowest.set(file, order.get(file)!)
    open.push(file)
    for (const other of imports(file)) {
      const low = !order.has(other) ? visit(other) : open.includes(other) ? order.get(other)! : Infinity
      lowest.set(file, Math.min(lowest.get(file)!, low))
    }
    if (lowest.get(file) === order.get(file)) {
      const circle = open.splice(open.indexOf(file))
      if (circle.length > 1) circles.push(circle.sort())
    }
    return lowest.get(file)!
  }
  for (const file of files) if (!order.has(file)) visit(file)
  return circles
}

it('no files import each other in a circle', () => {
  expect(circlesOf(sources)).toEqual([])
})

it('every import follows the table', () => {
  expect(sources.length).toBeGreaterThan(50)
  const allowed = new Map(rooms)
  const stray = arrows.filter(({ room, other }) => !(other === 'ground' || allowed.get(room)?.includes(other)))
  expect(stray.map(({ file, other }) => `${file} imports ${other}`)).toEqual([])
})

it('every entry of the table is used', () => {
  const used = new Set(arrows.map(({ room, other }) => `${room} ${other}`))
  const rows = rooms.flatMap(([room, imports]) => imports.map((other) => `${room} ${other}`))
  expect(rows.filter((row) => !used.has(row))).toEqual([])
})

it('every export is used', () => {
  const files = [...sources, ...filesOf('test', /\.ts$/), ...filesOf('scripts', /\.mjs$/)]
  const texts = new Map(files.map((file) => [file, textOf(file)]))
  const usesOf = new Map<string, number>()
  for (const text of texts.values())
    for (const word of text.match(/\w+/g) ?? []) usesOf.set(word, (usesOf.get(word) ?? 0) + 1)
  const unused = sources.flatMap((file) =>
    [...texts.get(file)!.matchAll(/^export (?:async )?(?:function|const|class|interface|type) (\w+)/gm)].flatMap(
      ([, name]) => (usesOf.get(name!) === 1 ? [`${file} exports ${name}`] : []),
    ),
  )
  expect(unused).toEqual([])
})

it('kernels and targets need neither Node nor the standard containers', () => {
  const stray = [...filesOf('native/kernels', /./), ...filesOf('native/targets', /./)].flatMap((file) =>
    [...textOf(file).matchAll(/#include [<"]([^>"]+)[>"]/g)]
      .map(([, name]) => `${file} includes ${name}`)
      .filter((line) => /(napi|node_api| (vector|string|map|memory|functional|algorithm)$)/.test(line)),
  )
  expect(stray).toEqual([])
})

/**
 * The folders of native/ from the ground up, and what each may include besides itself and native/status.h. A row may only
 * name rows above it. A folder counts with all that it holds.
 */
const nativeRooms: readonly (readonly [room: string, includes: readonly string[]])[] = [
  ['kernels', []],
  ['targets', ['kernels']],
  ['image', []],
  ['capture', []],
  ['teach', ['kernels']],
  ['service', []],
  ['plan', ['kernels']],
  ['cuda', ['image', 'kernels', 'plan']],
  ['binding', ['capture', 'cuda', 'image', 'plan', 'service', 'teach']],
  ['addon.cc', ['binding']],
  ['bench', ['kernels', 'plan']],
  ['fuzz', ['kernels', 'plan']],
  ['test', ['bench', 'cuda', 'fuzz', 'image', 'kernels', 'plan', 'teach']],
]

const nativeSources = filesOf('native', /\.(cc|h|inl|cu|cuh|def)$/)

/** `[including room, included room]` of every include of another room's file. */
const nativeArrows = nativeSources.flatMap((file) =>
  [...textOf(file).matchAll(/^#include "([^"]+)"/gm)]
    .map(([, name]) => relative('native', join(dirname(file), name!)))
    .filter((other) => other !== 'status.h' && existsSync(join(projectRoot, 'native', other)))
    .map((other) => ({ file, room: relative('native', file).split('/')[0]!, other: other.split('/')[0]! }))
    .filter(({ room, other }) => room !== other),
)

it('every native folder includes only folders above it in the table, and every entry is used', () => {
  const allowed = new Map(nativeRooms)
  const names = nativeRooms.map(([room]) => room)
  const upward = nativeRooms.flatMap(([room, includes]) =>
    includes.filter((other) => !names.slice(0, names.indexOf(room)).includes(other)).map((other) => `${room} ${other}`),
  )
  expect(upward).toEqual([])
  const stray = nativeArrows.filter(({ room, other }) => !allowed.get(room)?.includes(other))
  expect(stray.map(({ file, other }) => `${file} includes ${other}`)).toEqual([])
  const used = new Set(nativeArrows.map(({ room, other }) => `${room} ${other}`))
  const rows = nativeRooms.flatMap(([room, includes]) => includes.map((other) => `${room} ${other}`))
  expect(rows.filter((row) => !used.has(row))).toEqual([])
})

it('no native source asks the compiler for the features of the processor: zig cannot link that into an addon', () => {
  const asking = nativeSources.filter(
    (file) => !file.startsWith('native/test/') && /__builtin_cpu_(supports|init)\(/.test(textOf(file)),
  )
  expect(asking).toEqual([])
})

it('every native function has 60 lines at most, from its signature to its closing brace', () => {
  const long = [...'x'.repeat(59)].map(() => '  f();').join('\n')
  const example = `namespace a {\nclass C {\n  int x = {1};\n  void Short() { f({1}); }\n};\nvoid C::Long(\n    int b) {\n${long}\n}\n}\n`
  expect(functionsOf(example)).toEqual([
    { name: 'Short', line: 4, lines: 1 },
    { name: 'C::Long', line: 6, lines: 62 },
  ])
  const assembly = 'void Store() {\n  asm(R"(st1 {v0.4s}, [x0] // "a\n  .irp x {)" : : );\n}\nvoid Next() {}\n'
  expect(functionsOf(assembly)).toEqual([
    { name: 'Store', line: 1, lines: 4 },
    { name: 'Next', line: 5, lines: 1 },
  ])
  const functions = nativeSources.flatMap((file) => functionsOf(textOf(file)).map((each) => ({ file, ...each })))
  expect(functions.length).toBeGreaterThan(1000)
  const tooLong = functions.filter(({ lines }) => lines > 60)
  expect(tooLong.map(({ file, line, name, lines }) => `${file}:${line} ${name} has ${lines} lines`)).toEqual([])
})

/** Files that are one long table; these are generated from src/model/steps.ts. */
const tables: readonly string[] = ['native/kernels/steps.h', 'native/plan/step_table.h']

it('every file is read in one sitting: 330 lines at most, tables excepted', () => {
  const files = [
    ...sources,
    ...filesOf('native', /\.(cc|h|inl|cu|cuh)$/),
    ...filesOf('scripts', /\.mjs$/),
    ...filesOf('test', /\.ts$/),
  ]
  const long = files.filter((file) => textOf(file).split('\n').length > 331)
  expect(long.filter((file) => !tables.includes(file))).toEqual([])
  expect(tables.filter((file) => !existsSync(join(projectRoot, file)))).toEqual([])
})
