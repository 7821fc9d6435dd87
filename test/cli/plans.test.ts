/** Kept plans as a user meets them: the second start gives the same answer, sees every change, and loads less. */
import { copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest'
import { endAll, gapcam, jsonLines } from '../process.js'
import { projectRoot } from '../shared.js'

const home = mkdtempSync(join(tmpdir(), 'gapcam-kept-'))
afterAll(() => rmSync(home, { recursive: true }))
afterEach(endAll)

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(home, 'case-'))
  copyFileSync(`${projectRoot}models/convnet-gap.onnx`, join(folder, 'bird.onnx'))
  writeFileSync(join(folder, 'bird.yaml'), 'inputSize: [64, 64]\n')
})

interface Result {
  readonly status: number | NodeJS.Signals
  readonly answer: Record<string, unknown> | undefined
  readonly stderr: string
  /** The program's own files that were loaded. */
  readonly loaded: readonly string[]
}

async function classify(...flags: string[]): Promise<Result> {
  const coverage = mkdtempSync(join(folder, 'coverage-'))
  const args = ['classify', `${projectRoot}models/photos/cat.jpg`, '--model', join(folder, 'bird.onnx'), '--json']
  const run = gapcam([...args, '--set', `stateDir=${folder}/state`, ...flags], {
    env: { NODE_V8_COVERAGE: coverage },
  })
  const status = await run.ended
  const [report] = readdirSync(coverage)
  const { result } = JSON.parse(readFileSync(join(coverage, report!), 'utf8')) as { result: { url: string }[] }
  const loaded = result.flatMap(({ url }) => /\/dist\/(.+)$/.exec(url)?.[1] ?? [])
  rmSync(coverage, { recursive: true })
  const { ms: _, ...answer } = jsonLines(run.stdout())[0] ?? {}
  return { status, answer, stderr: run.stderr(), loaded }
}

const plans = (): string[] => (existsSync(`${folder}/state/.plans`) ? readdirSync(`${folder}/state/.plans`) : [])
const compiler = (file: string): boolean => /^model\/(passes|operators|onnx\/onnx|tflite|shapes|load)/.test(file)

test('the second start gives the same answer without the compiler', async () => {
  const first = await classify()
  expect(first.status, first.stderr).toBe(0)
  expect(first.loaded.filter(compiler).length).toBeGreaterThan(30)
  expect(plans()).toHaveLength(1)
  const second = await classify()
  expect(second.answer).toEqual(first.answer)
  expect(second.stderr).toBe(first.stderr)
  expect(second.loaded.filter(compiler)).toEqual([])
})

test('--no-plan-cache keeps nothing and takes nothing', async () => {
  const kept = await classify()
  const plain = await classify('--no-plan-cache')
  expect(plain.answer).toEqual(kept.answer)
  expect(plain.loaded.filter(compiler).length).toBeGreaterThan(30)
  rmSync(`${folder}/state`, { recursive: true })
  await classify('--no-plan-cache')
  await classify('--set', 'planCache=false')
  expect(plans()).toEqual([])
})

test('labels and manifests that come or change are seen at the next start', async () => {
  await classify()
  writeFileSync(join(folder, 'bird.labels.txt'), Array.from({ length: 10 }, (_, i) => `wren ${i}\n`).join(''))
  const labelled = await classify()
  expect(labelled.status, labelled.stderr).toBe(0)
  expect(JSON.stringify(labelled.answer)).toContain('"label":"wren ')
  writeFileSync(join(folder, 'bird.yaml'), 'inputSize: [64, 64]\nmean: [0, 0, 0]\nstd: [1, 1, 1]\n')
  expect((await classify()).answer).not.toEqual(labelled.answer)
  writeFileSync(join(folder, 'bird.yaml'), `inputSize: [64, 64]\nsha256: ${'a'.repeat(64)}\n`)
  const wrong = await classify()
  expect(wrong.stderr).toContain('its sha256 is')
  expect(wrong.status).toBe(4)
})

test('a kept plan that claims something else than its model has is not used', async () => {
  const first = await classify()
  const file = join(folder, 'state', '.plans', plans()[0]!)
  const bytes = readFileSync(file)
  const at = bytes.indexOf('"count":')
  expect(at).toBeGreaterThan(0)
  bytes[at + 8]! ^= 1
  rmSync(file)
  writeFileSync(file, bytes)
  expect((await classify()).answer).toEqual(first.answer)
})
