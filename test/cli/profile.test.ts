/** `gapcam profile`: times of every stage and step, and a trace in the format of Perfetto. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, it } from 'vitest'
import { endAll, gapcam } from '../process.js'
import { projectRoot } from '../shared.js'

interface Profile {
  frames: number
  engine: string
  stages: { stage: string; p50: number; p95: number; p99: number }[]
  steps: { steps: { ms: number; gflops: number | null; inputBytes: number; kernel: string }[] } | null
}
interface Event {
  name: string
  ph: string
  pid: number
  tid: number
  ts?: number
  dur?: number
  cat?: string
  args: Record<string, unknown>
}

const folder = mkdtempSync(join(tmpdir(), 'gapcam-profile-'))
afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const common = [
  'profile',
  join(projectRoot, 'models/photos/bird.jpg'),
  '--loop',
  '--fps',
  '200',
  '--frames',
  '30',
  '--threads',
  '1',
  '--model',
  join(projectRoot, 'models/convnet-gap.onnx'),
  '--json',
  '--seconds',
  '0.2',
]

it('prints percentiles of each stage, and time, rate and bytes of each step', async () => {
  const run = gapcam(common)
  expect(await run.ended, run.stderr()).toBe(0)
  const { frames, stages, steps } = JSON.parse(run.stdout()) as Profile
  expect(frames).toBe(30)
  expect(stages.map(({ stage }) => stage)).toEqual(['capture', 'preprocess', 'infer', 'decide', 'photon to label'])
  for (const { p50, p95, p99 } of stages) expect([p50 >= 0, p95 >= p50, p99 >= p95]).toEqual([true, true, true])
  expect(stages.at(-1)!.p99).toBeGreaterThanOrEqual(Math.max(...stages.slice(0, -1).map(({ p50 }) => p50)))
  expect(steps!.steps.length).toBeGreaterThan(3)
  expect(steps!.steps.every(({ ms, inputBytes, kernel }) => ms > 0 && inputBytes > 0 && kernel !== '')).toBe(true)
  expect(steps!.steps.some(({ gflops }) => gflops !== null && gflops > 0)).toBe(true)
})

it('writes a trace whose events have times and named tracks, and whose stages fill their frame', async () => {
  const file = join(folder, 'trace.json')
  const run = gapcam([...common, '--trace', file])
  expect(await run.ended, run.stderr()).toBe(0)
  const { traceEvents } = JSON.parse(readFileSync(file, 'utf8')) as { traceEvents: Event[] }
  for (const { ph, ts, dur, name, pid, tid } of traceEvents) {
    expect([typeof name, Number.isInteger(pid), Number.isInteger(tid)]).toEqual(['string', true, true])
    if (ph === 'X') expect([ts! >= 0, dur! >= 0]).toEqual([true, true])
    else expect([ph, ['process_name', 'thread_name'].includes(name)]).toEqual(['M', true])
  }
  const named = new Set(traceEvents.filter(({ name }) => name === 'thread_name').map(({ pid, tid }) => `${pid}/${tid}`))
  expect(traceEvents.filter(({ ph }) => ph === 'X').every(({ pid, tid }) => named.has(`${pid}/${tid}`))).toBe(true)
  const frames = traceEvents.filter(({ cat }) => cat === 'frame')
  expect(frames).toHaveLength(30)
  for (const frame of frames) {
    const parts = traceEvents.filter(
      ({ cat, ts, dur }) => cat === 'stage' && ts! >= frame.ts! - 0.01 && ts! + dur! <= frame.ts! + frame.dur! + 0.01,
    )
    expect(parts.reduce((sum, { dur }) => sum + dur!, 0)).toBeCloseTo(frame.dur!, 1)
  }
  expect(traceEvents.filter(({ cat }) => cat === 'step').length).toBeGreaterThan(3)
})

it('has no steps with onnxruntime, and refuses a folder as the trace file', async () => {
  const onnx = gapcam([...common, '--engine', 'onnxruntime'])
  expect(await onnx.ended, onnx.stderr()).toBe(0)
  expect((JSON.parse(onnx.stdout()) as Profile).steps).toBeNull()
  const trace = gapcam([...common, '--trace', folder])
  expect(await trace.ended).toBe(2)
  expect(trace.stderr()).toMatch(/--trace: .* cannot be written/)
})
