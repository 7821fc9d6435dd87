/** Every benchmark runs, on a small network and for a moment, and prints what docs/performance.md is written from. Nothing here looks at a time. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { cleanEnvironment, endAll, launch } from '../process.js'
import { projectRoot, sharedFolder } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-benchmarks-'))
const model = join(projectRoot, 'models/convnet-gap.onnx')
const peersInstalled = existsSync(join(projectRoot, '.cache/peers/venv/installed.json'))
const frameLoopBuilt = existsSync(join(projectRoot, `build-${process.arch}/frame_loop`))
afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function script(
  name: string,
  args: readonly string[],
): Promise<{ status: unknown; stdout: string; stderr: string }> {
  const run = launch(process.execPath, [join(projectRoot, `scripts/${name}.mjs`), ...args], {
    cwd: folder,
    env: cleanEnvironment(),
  })
  const status = await run.ended
  return { status, stdout: run.stdout(), stderr: run.stderr() }
}

async function json<T>(name: string, ...args: readonly string[]): Promise<T> {
  const { status, stdout, stderr } = await script(name, [...args, '--json'])
  expect(status, stderr).toBe(0)
  return JSON.parse(stdout) as T
}

interface PeerResult {
  readonly minMs?: number
  readonly medianMs?: number
  readonly error: string | null
}
interface Peers {
  readonly models: readonly {
    readonly model: string
    readonly macs: number
    readonly peakGflops: number
    readonly peers: Readonly<Record<string, PeerResult>>
  }[]
}

describe('bench/peers', () => {
  it('times gapcam and onnxruntime-node in turns, with outputs that agree', async () => {
    const { models } = await json<Peers>(
      'bench/peers',
      '--peers',
      'gapcam,onnxruntime-node',
      '--threads',
      '1',
      '--rounds',
      '1',
      model,
    )
    expect(models).toMatchObject([{ model: 'convnet-gap', macs: expect.any(Number), peakGflops: expect.any(Number) }])
    for (const peer of ['gapcam', 'onnxruntime-node']) {
      const { minMs, medianMs, error } = models[0]!.peers[peer]!
      expect(error).toBeNull()
      expect(minMs).toBeGreaterThan(0)
      expect(minMs).toBeLessThanOrEqual(medianMs!)
    }
  })

  it.skipIf(!peersInstalled)(
    'times the Python peers too (skipped where scripts/bench/peers.mjs has not installed them)',
    async () => {
      const { models } = await json<Peers>(
        'bench/peers',
        '--offline',
        '--peers',
        'gapcam,onnxruntime,openvino',
        '--threads',
        '1',
        '--rounds',
        '1',
        model,
      )
      expect(Object.keys(models[0]!.peers).sort()).toEqual(['gapcam', 'onnxruntime', 'openvino'])
    },
  )

  const bytes = sharedFolder() && join(sharedFolder()!, 'models/mobilenet-v2-int8.onnx')
  it.skipIf(!bytes)(
    'times a file that has 8 bits already, and finds the results alike (skipped without the shared folder)',
    async () => {
      const { models } = await json<Peers>(
        'bench/peers',
        '--peers',
        'gapcam,onnxruntime-node',
        '--threads',
        '1',
        '--rounds',
        '1',
        bytes!,
      )
      expect(models).toMatchObject([{ model: 'mobilenet-v2-int8', kind: 'quantized' }])
      for (const peer of ['gapcam', 'onnxruntime-node']) expect(models[0]!.peers[peer]!.error).toBeNull()
    },
  )

  it('names a peer that cannot be had, with the reason, and goes on without it', async () => {
    const { models } = await json<Peers>(
      'bench/peers',
      '--offline',
      '--peers',
      'gapcam,ncnn',
      '--threads',
      '1',
      '--rounds',
      '1',
      join(projectRoot, 'models/convnet-flatten.onnx'),
    )
    expect(models[0]!.peers['gapcam']!.error).toBeNull()
    if (!peersInstalled) expect(models[0]!.peers['ncnn']!.error).toContain('not installed')
  })
})

it('bench-open gives time and memory of a fresh process', async () => {
  const { models } = await json<{ models: { engines: Record<string, Record<string, number>> }[] }>(
    'bench/open',
    '--rounds',
    '1',
    '--engines',
    'gapcam,gapcam-kept,gapcam-onnxruntime',
    join(projectRoot, 'models/efficientnet-lite0.onnx'),
  )
  for (const engine of ['gapcam', 'gapcam-kept', 'gapcam-onnxruntime']) {
    // Node alone has some 40 MB, the weights 18.
    expect(models[0]!.engines[engine]!['peakRssMb']).toBeGreaterThan(50)
    expect(models[0]!.engines[engine]!['openToResultMs']).toBeGreaterThan(0)
  }
})

it('bench-once times each stage of gapcam once until the broker has everything', async () => {
  const stages = await json<{ stage: string; minMs: number }[]>('bench/once', '--runs', '1', '--model', model)
  expect(stages.map(({ stage }) => stage)).toEqual(
    expect.arrayContaining(['start', 'picture', 'model', 'classified', 'acknowledged', 'closed', 'cpu']),
  )
  const [classified, acknowledged] = ['classified', 'acknowledged'].map(
    (name) => stages.find(({ stage }) => stage === name)!.minMs,
  )
  expect(acknowledged).toBeGreaterThanOrEqual(classified!)
})

it('bench-arena counts bytes, of which none is below the lower bound', async () => {
  const { models } = await json<{ models: Record<string, number>[] }>('bench/arena', model)
  expect(models[0]!['arenaBytes']).toBeGreaterThanOrEqual(models[0]!['lowerBoundBytes']!)
  expect(models[0]!['constantBytes']).toBeGreaterThan(24_234 * 4)
})

it('bench-kernels times each different step of the networks once', async () => {
  const { kernels } = await json<{
    kernels: { kernel: string; shape: string; ms: number; gflops: number | null; models: string[] }[]
  }>('bench/kernels', '--ms', '1', model, model)
  expect(new Set(kernels.map(({ shape }) => shape)).size).toBe(kernels.length)
  const first = kernels.find(({ shape }) => shape.includes('16×3×3×3'))!
  expect(first.kernel).toMatch(/^f32_conv/)
  expect(first.gflops! * first.ms).toBeCloseTo((2 * 27 * 16 * 224 * 224) / 1e6, 0)
})

it('bench-preprocess times the pixel path beside a memcpy', async () => {
  const { passes } = await json<{
    passes: { what: string; path: string; isTarget: boolean; minMs: number; memcpyMs: number }[]
  }>('bench/preprocess', '--seconds', '0.1')
  expect(passes.filter(({ isTarget }) => isTarget)).toMatchObject([
    { what: expect.stringContaining('YUYV 640×480'), path: 'native' },
  ])
  for (const { minMs, memcpyMs } of passes) expect(minMs).toBeGreaterThan(memcpyMs)
})

it.skipIf(!frameLoopBuilt)(
  'bench-frame-loop counts no allocation and no call (skipped where npm test has not built native/bench)',
  async () => {
    const { models, eventLoop } = await json<{ models: object[]; eventLoop: object }>(
      'bench/frame-loop',
      '--seconds',
      '0.3',
      model,
    )
    expect(models).toMatchObject([1, 2].map((threads) => ({ threads, allocations: 0, otherCalls: 0 })))
    expect(eventLoop).toMatchObject({ p99Ms: expect.any(Number), inferencesPerSecond: expect.any(Number) })
  },
)

describe('measure-performance', () => {
  it('measures parts, keeps the others, and writes the page from them', async () => {
    const options = ['--quick', '--out', folder, '--models', model]
    expect(await script('bench/performance', ['--only', 'arena', ...options])).toMatchObject({ status: 0 })
    expect(await script('bench/performance', ['--only', 'steps', ...options])).toMatchObject({ status: 0 })
    const { parts } = JSON.parse(readFileSync(join(folder, 'performance.json'), 'utf8')) as {
      parts: Record<string, { date: string; data: unknown }>
    }
    expect(Object.keys(parts)).toEqual(['arena', 'steps'])
    const page = readFileSync(join(folder, 'performance.md'), 'utf8')
    expect(page).toMatch(/\| convnet-gap \| `f32_conv/)
    expect(page + JSON.stringify(parts), 'paths of the machine').not.toContain(projectRoot)
    expect(await script('bench/performance', ['--check', '--out', folder])).toMatchObject({ status: 0 })
    writeFileSync(join(folder, 'performance.md'), page.replace(/\d/, '7.5'))
    expect(await script('bench/performance', ['--check', '--out', folder])).toMatchObject({
      status: 1,
      stderr: expect.stringContaining('is not what'),
    })
  })
})

describe('bench/heat', () => {
  it('times an inference with and without the feature map, the product, the box and the lens watch', async () => {
    const { models } = await json<{ models: Record<string, unknown>[] }>('bench/heat', '--rounds', '3', model)
    const time = { medianUs: expect.any(Number), leastUs: expect.any(Number) }
    expect(models).toMatchObject([
      { model: 'convnet-gap', rounds: 3, without: time, with: time, product: time, box: time, lens: time },
    ])
  })
})
