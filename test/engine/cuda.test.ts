/**
 * The CUDA engine end to end on the test driver (native/cuda/fake): the real addon and library, emulated kernels, every
 * generation. After any failure, frames have the results of the CPU.
 */
import { cpSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { openModel, type EngineDescription, type OpenModelOptions } from '../../src/index.js'
import { buildFakeCuda, fakeCuda, fetchNvrtc, generations, readReport } from '../fake-cuda.js'
import { modernNetworks } from '../networks-modern.js'
import { networks } from '../networks.js'
import { writeModel } from '../onnx-builder.js'
import { endAll, jsonLines, launch } from '../process.js'
import { projectRoot } from '../shared.js'

interface Line extends EngineDescription {
  readonly step: 'open' | 'run' | 'closed' | 'failed'
  readonly values: readonly number[]
  readonly faults: readonly string[]
  readonly code: string
  readonly message: string
}

interface Program {
  readonly path?: string
  readonly options?: OpenModelOptions
  readonly runs?: number
  readonly untilServing?: boolean
  readonly openAgain?: OpenModelOptions
}

const folder = mkdtempSync(join(tmpdir(), 'gapcam-cuda-'))
const digits = join(projectRoot, 'models/convnet-gap.onnx')
const inputSize = { height: 32, width: 32 }

beforeAll(buildFakeCuda, 600_000)
afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Runs test/engine/cuda-run.mjs on the test driver. Returns its lines and the driver's report. */
async function run(
  settings: string,
  program: Program,
  more: NodeJS.ProcessEnv = {},
): Promise<{ lines: Line[]; stderr: string; report: ReturnType<typeof readReport> }> {
  const report = join(folder, `report-${Math.random()}.json`)
  const given = { path: digits, options: { engine: 'cuda', inputSize, threads: 1 }, ...program }
  const child = launch(process.execPath, [join(projectRoot, 'test/engine/cuda-run.mjs'), JSON.stringify(given)], {
    env: fakeCuda(`${settings} report=${report}`, more),
  })
  expect(await child.ended, child.stderr()).toBe(0)
  return { lines: jsonLines<Line>(child.stdout()), stderr: child.stderr(), report: readReport(report) }
}

/** The same runs on the CPU. */
async function onCpu(path: string, options: OpenModelOptions, runs: number): Promise<number[][]> {
  const model = await openModel(path, { ...options, engine: 'native', threads: 1 })
  const results: number[][] = []
  for (let frame = 0; frame < runs; frame++) {
    const feeds = Object.fromEntries(
      model.inputs.map(({ name, shape }) => [
        name,
        Float32Array.from(
          { length: shape.reduce((a, b) => a * b, 1) },
          (_, i) => Math.sin(i * 0.11 + frame) + Math.cos(i * 0.017),
        ),
      ]),
    )
    results.push(Object.values(await model.run(feeds)).flatMap(({ data }) => Array.from(data as Float32Array)))
  }
  await model.close()
  return results
}

function expectNear(values: readonly number[], right: readonly number[], tolerance: number): void {
  const range = Math.max(...right) - Math.min(...right)
  const worst = right.reduce(
    (most, value, i) => (Math.abs(value - values[i]!) <= most ? most : Math.abs(value - values[i]!)),
    0,
  )
  expect(worst / range).toBeLessThanOrEqual(tolerance)
}

describe('every generation computes the results of the CPU', () => {
  it.each(generations)('sm_%i, in half and in single precision', async (sm) => {
    const [right] = await onCpu(digits, { inputSize }, 1)
    for (const [cudaPrecision, tolerance] of [
      ['fp16', 2e-2],
      ['fp32', 1e-4],
    ] as const) {
      const {
        lines: [opened, ran],
        report,
      } = await run(`sm=${sm}`, { options: { engine: 'cuda', inputSize, cudaPrecision } })
      expect(opened).toMatchObject({
        step: 'open',
        engine: 'cuda',
        target: `sm_${sm}-${cudaPrecision}`,
        reason: 'asked for',
        cuda: { device: expect.stringContaining('emulated'), state: 'serving', faults: 0, restartWanted: false },
      })
      expect(opened!.cuda!.selfTest).toBeLessThanOrEqual(tolerance)
      expectNear(ran!.values, right!, tolerance)
      expect(report).toMatchObject({
        violations: [],
        leaks: { contexts: 0, allocations: 0, modules: 0, streams: 0, graphs: 0 },
      })
    }
  })

  it('small networks of every family', async () => {
    for (const [name, build] of Object.entries({ ...networks, mobilevit: modernNetworks['mobilevit']! })) {
      const path = writeModel(join(folder, `${name}.onnx`), build())
      const [right] = await onCpu(path, {}, 1)
      const {
        lines: [opened, ran],
        report,
      } = await run('', { path, options: { engine: 'cuda', cudaPrecision: 'fp32' } })
      expect(opened, name).toMatchObject({ step: 'open', engine: 'cuda' })
      expectNear(ran!.values, right!, 1e-4)
      expect(report.violations, name).toEqual([])
    }
  })
})

describe('auto', () => {
  const options = { engine: 'auto', inputSize, threads: 1 } as const

  it('CUDA is used if it is right and faster in the measurement', async () => {
    // memo: the driver skips unchanged graphs, which makes it the faster engine.
    const {
      lines: [opened],
    } = await run('memo=1', { options: { ...options, inputSize: { height: 192, width: 192 } } })
    expect(opened).toMatchObject({
      engine: 'cuda',
      reason: expect.stringMatching(/^the faster one here \(cuda .* ms, native .* ms\)$/),
      rejected: expect.arrayContaining([{ name: 'native', reason: expect.stringMatching(/^slower here/) }]),
    })
    expect(opened!.rejected[0]!.name).toBe('native')
    expect(opened!.cuda!.measured!.cudaMs).toBeLessThan(opened!.cuda!.measured!.nativeMs)
  })

  it('the CPU is used if CUDA is slower', async () => {
    const {
      lines: [opened],
      report,
    } = await run('', { options })
    expect(opened).toMatchObject({
      engine: 'native',
      reason: expect.stringMatching(/cuda not used: slower here/),
      rejected: expect.arrayContaining([{ name: 'cuda', reason: expect.stringMatching(/slower here/) }]),
    })
    expect(report).toMatchObject({ violations: [], leaks: { contexts: 0, allocations: 0 } })
  })

  it.each([
    ['its self-test fails', 'wrong=1', undefined, /its self-test in fp32 is off by .* of the output's range/],
    [
      'the device has too little memory',
      'memory=20000',
      undefined,
      /cuMemAlloc failed with CUDA_ERROR_OUT_OF_MEMORY \(2\) while taking/,
    ],
    [
      'the driver is too old',
      'version=10020',
      undefined,
      /the NVIDIA driver is too old: it supports CUDA 10\.2, but 11\.4 \(JetPack 5\) is needed/,
    ],
    ['there is no device', 'devices=0', undefined, /CUDA_ERROR_NO_DEVICE/],
    ['the context is lost while it opens', 'fail=cuModuleLoadData:719', undefined, /CUDA_ERROR_LAUNCH_FAILED/],
    [
      'there are no kernels for the generation',
      'sm=86',
      undefined,
      /no kernels for sm_86, only for sm_72, sm_87, sm_89, sm_90, sm_110/,
    ],
    ['no kernels are built', '', '/nonexistent', /the CUDA kernels are not built/],
  ])('auto falls back with the reason, and --engine cuda is an error, when %s', async (_, settings, folder, reason) => {
    const more = folder === undefined ? {} : { GAPCAM_CUBINS: folder }
    const {
      lines: [opened, ran],
    } = await run(settings, { options }, more)
    expect(opened).toMatchObject({
      engine: 'native',
      rejected: expect.arrayContaining([{ name: 'cuda', reason: expect.stringMatching(reason) }]),
    })
    expectNear(ran!.values, (await onCpu(digits, { inputSize }, 1))[0]!, 1e-6)
    const {
      lines: [failed],
    } = await run(settings, {}, more)
    expect(failed).toMatchObject({ step: 'failed', code: 'ENGINE_UNAVAILABLE', message: expect.stringMatching(reason) })
  })

  it('kernels with a wrong digest are refused', async () => {
    const damaged = join(folder, 'damaged')
    cpSync(join(projectRoot, 'prebuilds/cuda'), damaged, { recursive: true })
    writeFileSync(join(damaged, 'sm_87.cubin'), Buffer.alloc(64, 1))
    const {
      lines: [failed],
    } = await run('', {}, { GAPCAM_CUBINS: damaged })
    expect(failed).toMatchObject({
      step: 'failed',
      message: expect.stringMatching(/sm_87\.cubin are damaged: their digest differs/),
    })
  })
})

it('NVRTC compiles the kernels of a generation without shipped ones, once', async () => {
  const more = { ...(await fetchNvrtc()), XDG_CACHE_HOME: join(folder, 'cache') }
  const [right] = await onCpu(digits, { inputSize }, 1)
  for (let start = 0; start < 2; start++) {
    const {
      lines: [opened, ran],
    } = await run('sm=86', {}, more)
    expect(opened).toMatchObject({
      engine: 'cuda',
      target: 'sm_86-fp16',
      cuda: { kernels: 'compiled here by NVRTC 11.8' },
    })
    expectNear(ran!.values, right!, 2e-2)
  }
  const [kept, ...others] = readdirSync(join(folder, 'cache/gapcam/cuda'))
  expect(others).toEqual([])
  // A damaged file in the cache is compiled again.
  writeFileSync(join(folder, 'cache/gapcam/cuda', kept!), Buffer.alloc(1000))
  expect((await run('sm=86', {}, more)).lines[0]).toMatchObject({ engine: 'cuda' })
}, 240_000)

describe('a fault during a run', () => {
  it('that is temporary: the CPU computes the frame, and CUDA is tried again after a wait', async () => {
    // The first graph launch is that of the self-test.
    const { lines, report } = await run('fail=cuGraphLaunch@3:2', { runs: 3, untilServing: true })
    const right = await onCpu(digits, { inputSize }, 3)
    const runs = lines.filter(({ step }) => step === 'run')
    for (const [i, values] of right.entries()) expectNear(runs[i]!.values, values, 2e-2)
    expect(runs[0]).toMatchObject({ engine: 'cuda', cuda: { faults: 0 } })
    expect(runs[1]).toMatchObject({
      engine: 'native',
      reason: expect.stringMatching(
        /^CUDA is tried again after a wait: cuGraphLaunch failed with CUDA_ERROR_OUT_OF_MEMORY/,
      ),
      cuda: { state: 'waiting', faults: 1, restartWanted: false },
    })
    expectNear(runs[1]!.values, right[1]!, 1e-6)
    expect(runs.at(-1)).toMatchObject({
      engine: 'cuda',
      cuda: { state: 'serving', faults: 1, retries: 1, lastFault: expect.stringMatching(/OUT_OF_MEMORY/) },
    })
    expect(lines.at(-1)).toMatchObject({
      step: 'closed',
      faults: [expect.stringMatching(/^CUDA: cuGraphLaunch failed .*; the CPU computes this frame$/)],
    })
    expect(report).toMatchObject({
      violations: [],
      leaks: { contexts: 0, allocations: 0, modules: 0, streams: 0, graphs: 0 },
    })
  })

  it('that loses the context: the CPU computes all further frames, and a restart is asked for', async () => {
    const { lines } = await run('fail=cuStreamSynchronize@4:700', { runs: 4, openAgain: { engine: 'cuda', inputSize } })
    const right = await onCpu(digits, { inputSize }, 4)
    const runs = lines.filter(({ step }) => step === 'run')
    for (const [i, values] of right.entries()) expectNear(runs[i]!.values, values, 2e-2)
    expect(runs.map(({ engine }) => engine)).toEqual(['cuda', 'native', 'native', 'native'])
    expect(runs[3]).toMatchObject({
      reason: expect.stringMatching(/^CUDA is off until a restart: .*CUDA_ERROR_ILLEGAL_ADDRESS/),
      cuda: { state: 'off', faults: 1, framesOnCpu: 3, restartWanted: true },
    })
    expect(lines.at(-1)).toMatchObject({
      step: 'failed',
      code: 'ENGINE_UNAVAILABLE',
      message: expect.stringMatching(/CUDA is off for this process: cuStreamSynchronize failed/),
    })
  })
})
