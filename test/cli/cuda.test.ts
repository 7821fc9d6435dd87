/** The command line on the CUDA test driver: photographs, faults during a run, bench, run. */
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { buildFakeCuda, fakeCuda } from '../fake-cuda.js'
import { cli, endAll, jsonLines, launch } from '../process.js'
import { cleanUp, freePort, retained, until } from '../publish/mosquitto.js'
import { projectRoot } from '../shared.js'

interface Classified {
  readonly file: string
  readonly top: readonly { readonly label: string; readonly index: number }[]
  readonly engine: string
  readonly target: string
  readonly engineReason: string
}

const photos = join(projectRoot, 'models/photos')
const known = JSON.parse(readFileSync(join(photos, 'photos.json'), 'utf8')) as { file: string; label: string }[]

const state = mkdtempSync(join(tmpdir(), 'gapcam-cuda-run-'))

beforeAll(buildFakeCuda, 600_000)
afterEach(async () => {
  await endAll()
  await cleanUp()
})
afterAll(() => rmSync(state, { recursive: true, force: true }))

async function gapcam(
  settings: string,
  ...args: string[]
): Promise<{ status: unknown; stdout: string; stderr: string }> {
  const child = launch(process.execPath, [cli, ...args], { env: fakeCuda(settings) })
  const status = await child.ended
  return { status, stdout: child.stdout(), stderr: child.stderr() }
}

it('classify gives the photographs the same labels on CUDA as on the CPU', async () => {
  const { status, stdout, stderr } = await gapcam('', 'classify', '--json', '--engine', 'cuda', photos)
  expect(status, stderr).toBe(0)
  const results = jsonLines<Classified>(stdout)
  expect(results.map(({ file, top }) => [file.split('/').at(-1), top[0]?.label])).toEqual(
    known.map(({ file, label }) => [file, label]),
  )
  for (const result of results) expect(result).toMatchObject({ engine: 'cuda', target: 'sm_87-fp16' })
}, 240_000)

const three = [
  'classify',
  '--json',
  '--input-size',
  '64',
  ...['bird', 'cat', 'parrot'].map((name) => join(photos, `${name}.jpg`)),
]

// Opening synchronizes twice, and then each picture twice: for its conversion and for its inference.
it.each([
  ['a conversion', 5],
  ['an inference', 6],
])(
  'classify continues on the CPU with a warning and status 0 after the context is lost in %s',
  async (_, wait) => {
    const [right, lost] = await Promise.all([
      gapcam('devices=0', ...three, '--engine', 'native'),
      gapcam(`sm=72 fail=cuStreamSynchronize@${wait}:719`, ...three, '--engine', 'cuda'),
    ])
    expect(lost.status, lost.stderr).toBe(0)
    const results = jsonLines<Classified>(lost.stdout)
    expect(results.map(({ top }) => top[0]!.label)).toEqual(
      jsonLines<Classified>(right.stdout).map(({ top }) => top[0]!.label),
    )
    expect(results.map(({ engine }) => engine)).toEqual(['cuda', 'native', 'native'])
    expect(results[2]!.engineReason).toMatch(
      /^CUDA is off until a restart: cuStreamSynchronize failed with CUDA_ERROR_LAUNCH_FAILED/,
    )
    expect(lost.stderr).toMatch(
      /^CUDA: cuStreamSynchronize failed .*; the CPU computes this and all further frames: CUDA is off until gapcam is restarted$/m,
    )
  },
  120_000,
)

it('doctor gives the reason against CUDA once', async () => {
  const { stdout, stderr } = await gapcam(
    '',
    'doctor',
    '--json',
    '--model',
    join(projectRoot, 'models/convnet-gap.onnx'),
    '--input-size',
    '32',
    '--broker',
    'none',
    join(photos, 'bird.jpg'),
  )
  const { checks } = JSON.parse(stdout) as { checks: { name: string; evidence: string }[] }
  const evidence = checks.find(({ name }) => name === 'engine')?.evidence ?? stderr
  expect(evidence).toMatch(/^native .*; cuda not used: slower here: cuda [\d.]+ ms, native [\d.]+ ms/)
  expect(evidence.match(/slower here/g)).toHaveLength(1)
}, 120_000)

it('after a failed conversion the CPU prepares the frames, and the inference stays on the GPU', async () => {
  const [right, failed] = await Promise.all([
    gapcam('', ...three, '--engine', 'cuda'),
    gapcam('fail=cuMemHostAlloc@3:2', ...three, '--engine', 'cuda'),
  ])
  expect(failed.status, failed.stderr).toBe(0)
  const withoutMs = (stdout: string): unknown[] => jsonLines<{ ms: number }>(stdout).map(({ ms: _, ...rest }) => rest)
  expect(withoutMs(failed.stdout)).toEqual(withoutMs(right.stdout))
  expect(failed.stderr).toBe(
    'CUDA: cuMemHostAlloc failed with CUDA_ERROR_OUT_OF_MEMORY (2) while mapping memory for frames; the CPU prepares this and all further frames of this camera\n',
  )
}, 120_000)

it('bench measures it with the other engines, and warns that times of an emulated device mean nothing', async () => {
  const { status, stdout, stderr } = await gapcam(
    '',
    'bench',
    '--json',
    '--engine',
    'cuda,native,onnxruntime',
    '--seconds',
    '0.1',
    '--input-size',
    '32',
    join(projectRoot, 'models/convnet-gap.onnx'),
  )
  expect(status, stderr).toBe(0)
  expect(jsonLines(stdout).map(({ engine, target }) => `${String(engine)} ${String(target)}`)).toEqual([
    expect.stringMatching('cuda sm_87-fp16'),
    expect.stringMatching(/^native /),
    'onnxruntime cpu',
  ])
  expect(stderr).toContain('the CUDA device is emulated on the processor, so its times mean nothing')
}, 120_000)

it('run continues after a lost context, which banner, warning, health, info and summary show', async () => {
  const port = await freePort()
  const args = [
    'run',
    photos,
    '--loop',
    '--engine',
    'cuda',
    '--model',
    join(projectRoot, 'models/convnet-gap.onnx'),
    '--set',
    'inputSize=32',
    '--set',
    `mqtt.port=${port}`,
    '--set',
    'page.enabled=false',
  ]
  const run = launch(process.execPath, [cli, ...args], {
    env: { ...fakeCuda('fail=cuStreamSynchronize@5:700'), XDG_STATE_HOME: state },
  })
  await run.until(/^engine +cuda sm_87-fp16, Orin, emulated: asked for$/m)
  await run.until(/CUDA: cuStreamSynchronize failed with CUDA_ERROR_ILLEGAL_ADDRESS/)
  let health = ''
  await until(
    async () => /"state":"off"/.test((health = await retained(port, 'gapcam/gapcam/health'))),
    'health to show the loss',
    60_000,
  )
  expect(JSON.parse(health)).toMatchObject({
    gpu: {
      state: 'off',
      faults: 1,
      retries: 0,
      restart_wanted: true,
      last_fault: expect.stringMatching(/ILLEGAL_ADDRESS/),
    },
  })
  await until(
    async () => /"engine":"native".*CUDA is off until a restart/.test(await retained(port, 'gapcam/gapcam/info')),
    'the info to name the engine',
    60_000,
  )
  run.kill('SIGTERM')
  expect(await run.ended).toBe(143)
  expect(run.stderr()).toMatch(/1 faults of CUDA, \d+ frames on the CPU$/m)
}, 240_000)

it('the script for boards writes one file with parity, times, power and clocks', async () => {
  // Replaces Jetson's tegrastats: repeats one line of an Orin.
  const folder = mkdtempSync(join(tmpdir(), 'gapcam-board-'))
  const line =
    'RAM 2800/7620MB (lfb 4x4MB) SWAP 0/3810MB (cached 0MB) CPU [12%@1510,5%@1510] EMC_FREQ 0%@2133 GR3D_FREQ 99%@[624] cpu@48.5C gpu@48.1C VDD_IN 6540mW/6120mW VDD_CPU_GPU_CV 2310mW/1900mW'
  writeFileSync(join(folder, 'tegrastats'), `#!/bin/sh\nwhile echo '${line}'; do sleep 0.05; done\n`, { mode: 0o755 })
  const out = join(folder, 'report.json')
  const args = [
    '--seconds',
    '0.1',
    '--steady',
    '0.3',
    '--photos',
    '1',
    '--input-size',
    '32',
    '--out',
    out,
    join(projectRoot, 'models/convnet-gap.onnx'),
  ]
  const child = launch(process.execPath, [join(projectRoot, 'scripts/board/cuda.mjs'), ...args], {
    env: { ...fakeCuda(''), PATH: `${folder}:${process.env['PATH']}` },
  })
  expect(await child.ended, child.stderr()).toBe(0)
  const report = JSON.parse(readFileSync(out, 'utf8')) as {
    isRight: boolean
    isEmulated: boolean
    models: Record<string, unknown>[]
  }
  rmSync(folder, { recursive: true })
  expect(report).toMatchObject({
    isRight: true,
    isEmulated: true,
    photographs: { fp16: { isRight: true }, fp32: { isRight: true } },
  })
  expect(report.models).toMatchObject([
    {
      name: 'convnet-gap.onnx',
      parity: { fp16: { isRight: true }, fp32: { isRight: true } },
      auto: { engine: 'native' },
      benchmark: { results: [{ engine: 'cuda', peakPercent: null }, { engine: 'native' }, { engine: 'onnxruntime' }] },
      frames: [
        { what: 'YUYV 640×480', isSame: true, byGpu: { path: 'cuda' } },
        { what: 'NV12 1920×1080', isSame: true, byGpu: { path: 'cuda' } },
      ],
      steady: {
        differentOutputs: 1,
        board: {
          numbers: { VDD_IN_mW: { mean: 6540 }, gpu_MHz: { max: 624 }, gpu_percent: { min: 99 }, gpu_C: { max: 48.1 } },
        },
      },
    },
  ])
}, 240_000)

it('a sample of the fault matrix: for each failing call, the labels are right and the exit status is as documented', () => {
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [join(projectRoot, 'scripts/cuda/faults.mjs'), '--sample', '24'],
    { encoding: 'utf8' },
  )
  expect(status, stdout + stderr).toBe(0)
  const { cases, refused, finishedOnCpu, onGpuAfterAll, notReached } = JSON.parse(stdout) as Record<string, number>
  expect(cases).toBeGreaterThanOrEqual(24)
  expect(refused! + finishedOnCpu! + onGpuAfterAll! + notReached!).toBe(cases)
  expect(refused).toBeGreaterThan(0)
  expect(finishedOnCpu).toBeGreaterThan(0)
}, 240_000)
