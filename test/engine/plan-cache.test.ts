import { execFileSync } from 'node:child_process'
import {
  copyFileSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, expect, test, vi } from 'vitest'
import { loadAddon, type Addon } from '../../src/addon.js'
import type { Engine } from '../../src/engine/engine.js'
import type { CompiledModel } from '../../src/engine/native.js'
import { placeOf, sourcesOf, type PlanCacheOptions, type PlanUse } from '../../src/engine/plan-cache.js'
import { openCompiled, openEngine } from '../../src/engine/select.js'
import { tuningFile } from '../../src/engine/tuning.js'
import { loadModel } from '../../src/model/load.js'
import { endAll, launch } from '../process.js'
import { projectRoot } from '../shared.js'

const loaded = loadAddon()
if ('reason' in loaded) throw new Error(loaded.reason)
const addon: Addon = loaded.addon

const home = mkdtempSync(join(tmpdir(), 'gapcam-plans-'))
afterAll(() => rmSync(home, { recursive: true }))
afterEach(endAll)

const inputSize = { height: 64, width: 64 }
let folder: string
let model: string
let notes: string[]
beforeEach(() => {
  const own = mkdtempSync(join(home, 'case-'))
  folder = join(own, 'plans')
  model = join(own, 'model.onnx')
  copyFileSync(`${projectRoot}models/convnet-gap.onnx`, model)
  notes = []
})

interface Opened {
  readonly isKept: boolean
  readonly bits: string
}

/** Opens the model as `openModel` does, runs it once, and waits until its plan is kept. */
async function open(
  use: Partial<PlanUse> & { readonly target?: string } = {},
  bounds: Partial<PlanCacheOptions> = {},
  file = model,
): Promise<Opened> {
  const options = { inputSize, ...(use.target === undefined ? {} : { target: use.target }) }
  const cache = { folder, onNote: (note: string) => void notes.push(note), ...bounds }
  const place = (await placeOf(file, cache, { choice: 'native', engine: options, beside: [tuningFile(file)], ...use }))!
  const kept = place.find()
  if (kept) {
    const engine = await openCompiled(kept.compiled, 'native', options)
    if (!('why' in engine)) return { isKept: true, bits: await bitsOf(engine) }
    place.refuse(engine.why)
  }
  const source = await loadModel(file, place.bytes)
  let compiled: CompiledModel | null = null
  const engine = await openEngine(source, 'native', options, (made) => {
    compiled = made
  })
  await place.keep({ compiled: compiled!, facts: { made: 'here' }, table: Uint8Array.of(1, 2, 3) }, sourcesOf(source))
  return { isKept: false, bits: await bitsOf(engine) }
}

async function bitsOf(engine: Engine): Promise<string> {
  const data = engine.inputs[0]!.data as Float32Array
  for (let i = 0; i < data.length; i++) data[i] = Math.sin(i)
  await engine.run()
  const { buffer, byteOffset, byteLength } = engine.outputs[0]!.data
  const bits = Buffer.from(buffer, byteOffset, byteLength).toString('hex')
  await engine.close()
  return bits
}

const entries = (): string[] => (existsSync(folder) ? readdirSync(folder) : [])
const entry = (): string => join(folder, entries()[0]!)

const targets = addon.describeTargets().filter(({ supported }) => supported)
test.each(targets)('a kept plan gives the same bits on $name as a new one', async ({ name }) => {
  const first = await open({ target: name })
  expect(first.isKept).toBe(false)
  expect(await open({ target: name })).toEqual({ isKept: true, bits: first.bits })
})

test('weights of the model’s file are not stored again', async () => {
  await open()
  expect(readFileSync(entry()).length).toBeLessThan(readFileSync(model).length / 4)
})

test('each option and each target has its own plan', async () => {
  await open({ target: 'scalar' })
  expect((await open()).isKept).toBe(false)
  expect((await open({ engine: { inputSize, integers: false } })).isKept).toBe(false)
  expect((await open({ engine: { inputSize: { height: 96, width: 64 } } })).isKept).toBe(false)
  expect((await open({ target: 'scalar' })).isKept).toBe(true)
})

test('a changed weight makes the model a new one', async () => {
  const { bits } = await open()
  const bytes = readFileSync(model)
  bytes.writeFloatLE(bytes.readFloatLE(bytes.length >> 1) + 1, bytes.length >> 1)
  writeFileSync(model, bytes)
  const changed = await open()
  expect(changed.isKept).toBe(false)
  expect(changed.bits).not.toBe(bits)
})

test('a file beside the model that comes, changes or goes makes a new plan', async () => {
  await open()
  for (const text of ['{}', '{ "version": 1 }']) {
    writeFileSync(tuningFile(model), text)
    expect((await open()).isKept).toBe(false)
    expect((await open()).isKept).toBe(true)
  }
  rmSync(tuningFile(model))
  expect((await open()).isKept).toBe(false)
})

test('another version of gapcam makes its own plans', async () => {
  await open()
  vi.resetModules()
  vi.doMock('../../src/version.js', () => ({ version: '99.0.0' }))
  const later = await import('../../src/engine/plan-cache.js')
  vi.doUnmock('../../src/version.js')
  const place = await later.placeOf(
    model,
    { folder },
    { choice: 'native', engine: { inputSize }, beside: [tuningFile(model)] },
  )
  expect(place!.find()).toBeNull()
})

test('a damaged entry is removed, and the model compiled again', async () => {
  const { bits } = await open()
  const whole = readFileSync(entry())
  for (const at of [0, 5, 20, 60, whole.length >> 1, whole.length - 64]) {
    const damaged = Buffer.from(whole)
    damaged[at]! ^= 1
    const file = entry()
    rmSync(file) // what is mapped stays as it is
    writeFileSync(file, damaged)
    expect(await open(), `byte ${at}`).toEqual({ isKept: false, bits })
    expect(notes.pop()).toContain('is not used')
    expect((await open()).isKept).toBe(true)
  }
})

test('an entry that is cut off anywhere is refused, and the model compiled again', async () => {
  const { bits } = await open()
  const whole = readFileSync(entry())
  for (const length of [0, 1, 47, 48, 100, whole.length >> 1, whole.length - 1]) {
    const file = entry()
    rmSync(file)
    writeFileSync(file, whole.subarray(0, length))
    expect(await open()).toEqual({ isKept: false, bits })
    expect(notes.pop()).toContain('is not used')
  }
})

test('something that is no file in the place of an entry is refused', async () => {
  const { bits } = await open()
  const file = entry()
  rmSync(file)
  execFileSync('mkfifo', [file])
  expect(await open()).toEqual({ isKept: false, bits })
  expect(notes).toHaveLength(1)
  expect((await open()).isKept).toBe(true)
})

test('the plans that were not used for longest go when there are too many', async () => {
  const keep = (n: number): Promise<Opened> => open({ options: n }, { mostEntries: 2 })
  await keep(1)
  const first = entry()
  await keep(2)
  utimesSync(first, 1, 1)
  await keep(1) // used again
  await keep(3)
  expect(entries()).toHaveLength(2)
  expect((await keep(1)).isKept).toBe(true)
  expect((await keep(2)).isKept).toBe(false)
})

test('the plans stay within their bytes', async () => {
  await open()
  const size = readFileSync(entry()).length
  await open({ options: 2 }, { mostBytes: size * 1.5 })
  expect(entries()).toHaveLength(1)
  await open({ options: 3 }, { mostBytes: size / 2 })
  expect(entries()).toHaveLength(1)
})

test('what a killed process left is removed after an hour', async () => {
  await open()
  const stray = join(folder, 'x.plan.1-2.part')
  writeFileSync(stray, '')
  await open({ options: 2 })
  expect(existsSync(stray)).toBe(true)
  utimesSync(stray, 1, 1)
  await open({ options: 3 })
  expect(existsSync(stray)).toBe(false)
})

test('a folder that cannot be written is no error', async () => {
  const { bits } = await open()
  writeFileSync(join(home, 'file'), '')
  const other = await open({}, { folder: join(home, 'file', 'plans') })
  expect(other).toEqual({ isKept: false, bits })
  expect(notes).toEqual([expect.stringMatching(/^the compiled plan is not kept: /)])
})

test('processes that open the same model at once all succeed and leave one entry', async () => {
  const code = `import { openModel } from '${projectRoot}dist/index.js'
const model = await openModel('${model}', { engine: 'native', planCache: '${folder}', inputSize: { height: 64, width: 64 } })
const outputs = await model.run(Array.from({ length: model.inputs[0].shape.reduce((a, b) => a * b) }, (_, i) => Math.sin(i)))
console.log(JSON.stringify([...Object.values(outputs)[0].data]))
await model.close()`
  const all = [1, 2, 3].map(() => launch(process.execPath, ['--input-type=module', '-e', code]))
  for (const child of all) expect(await child.ended, child.stderr()).toBe(0)
  expect(new Set(all.map((child) => child.stdout())).size).toBe(1)
  expect(entries()).toHaveLength(1)
  const again = launch(process.execPath, ['--input-type=module', '-e', code])
  expect(await again.ended).toBe(0)
  expect(again.stdout()).toBe(all[0]!.stdout())
})
