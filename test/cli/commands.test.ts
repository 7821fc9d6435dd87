/** `gapcam bench`, `model`, `config` and `cameras`: their tables and their JSON. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { networks } from '../networks.js'
import { writeModel } from '../onnx-builder.js'
import { endAll, gapcam, jsonLines } from '../process.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-commands-'))
const gap = join(projectRoot, 'models/convnet-gap.onnx')
const flatten = join(projectRoot, 'models/convnet-flatten.onnx')
afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function run(
  args: readonly string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ status: unknown; stdout: string; stderr: string }> {
  const program = gapcam(args, { env })
  const status = await program.ended
  return { status, stdout: program.stdout(), stderr: program.stderr() }
}

describe('gapcam bench', () => {
  it('times each engine with each thread count, one JSON object each', async () => {
    const { status, stdout, stderr } = await run([
      'bench',
      '--engine',
      'native,onnxruntime',
      '--threads',
      '1,2',
      '--seconds',
      '0.3',
      '--input-size',
      '32',
      '--json',
      gap,
    ])
    expect(status, stderr).toBe(0)
    const results = jsonLines<Record<string, unknown>>(stdout)
    expect(results.map(({ engine, threads }) => [engine, threads])).toEqual([
      ['native', 1],
      ['onnxruntime', 1],
      ['native', 2],
      ['onnxruntime', 2],
    ])
    for (const result of results) {
      expect(result).toMatchObject({
        model: expect.stringContaining('convnet-gap'),
        target: expect.any(String),
        minMs: expect.any(Number),
        medianMs: expect.any(Number),
        ratio: expect.any(Number),
        peakPercent: expect.any(Number),
      })
      expect(result['minMs']).toBeLessThanOrEqual(result['medianMs'] as number)
      expect(result['peakPercent']).toBeLessThan(400) // Winograd may pass 100; a wrong peak would be far off
    }
  })

  it('--compare times the native engine and another one', async () => {
    const { status, stdout, stderr } = await run([
      'bench',
      '--compare',
      'onnxruntime',
      '--seconds',
      '0.1',
      '--input-size',
      '32',
      '--json',
      gap,
    ])
    expect(status, stderr).toBe(0)
    const [native, other] = jsonLines<Record<string, number>>(stdout)
    expect([native, other]).toMatchObject([{ engine: 'native', ratio: 1 }, { engine: 'onnxruntime' }])
    expect(other!['ratio']).toBeCloseTo(other!['minMs']! / native!['minMs']!, 1)
    expect((await run(['bench', '--compare', 'onnxruntime', '--engine', 'native', gap])).status).toBe(2)
    expect((await run(['bench', '--compare', 'tflite', gap])).stderr).toContain('there is no engine tflite')
  })

  it('--steps gives kernel, time, rate and bytes of each step', async () => {
    const { status, stdout, stderr } = await run([
      'bench',
      '--steps',
      '--seconds',
      '0.2',
      '--input-size',
      '32',
      '--json',
      gap,
    ])
    expect(status, stderr).toBe(0)
    const [result] = jsonLines<{
      target: string
      threads: number
      peakGflops: number
      sumMs: number
      steps: Record<string, number | string>[]
    }>(stdout)
    const { target, threads, peakGflops, sumMs, steps } = result!
    expect(threads).toBe(1)
    expect(steps.length).toBeGreaterThan(3)
    expect(steps.reduce((sum, { ms }) => sum + Number(ms), 0)).toBeCloseTo(sumMs, 2)
    const first = steps[0]!
    // A target with byte products of its own has the float kernels of the one below it.
    const below: Readonly<Record<string, string>> = { avx512vnni: 'avx512', avxvnni: 'avx2', neondot: 'neon' }
    expect(first['kernel']).toContain(`__${below[target] ?? target}`)
    // 3 channels of 32 by 32 in; 16 filters of 3 by 3 by 3 with a bias, whose multiply-adds give the rate.
    expect(first).toMatchObject({ kind: 'conv2d', inputBytes: 3 * 32 * 32 * 4, weightBytes: (27 + 1) * 16 * 4 })
    expect(first['gflops']).toBeCloseTo((2 * 27 * 16 * 1024) / 1e6 / Number(first['ms']), 1)
    expect(first['peakPercent']).toBeCloseTo((Number(first['gflops']) / peakGflops) * 100, 1)
  })

  it('ends with status 4 if a requested engine had to be replaced', async () => {
    const model = writeModel(join(folder, 'det.onnx'), {
      nodes: [{ op: 'Det', inputs: ['input'], outputs: ['y'] }],
      inputs: { input: [1, 3, 4, 4] },
      outputs: { y: [1, 3] },
    })
    const { status, stderr } = await run(['bench', '--engine', 'native', '--seconds', '0.1', '--json', model])
    expect(status).toBe(4)
    expect(stderr).toContain('Det')
  })
})

describe('gapcam model info', () => {
  const info = async (file: string): Promise<Record<string, unknown>> =>
    jsonLines((await run(['model', 'info', '--json', '--input-size', '32', file])).stdout)[0]!

  it('counts parameters, tells a GAP head from a flattened one, and says what the other would cost', async () => {
    expect(await info(gap)).toMatchObject({ parameters: 24_234, head: { kind: 'gap', parameters: 650 } })
    expect(await info(flatten)).toMatchObject({ parameters: 64_554, head: { kind: 'flatten', parameters: 40_970 } })
  })

  it('gives inputs, operators, multiply-accumulates, arena bytes and what each node became', async () => {
    const described = await info(gap)
    expect(described).toMatchObject({
      inputs: [{ name: 'input', shape: [1, 3, 32, 32] }],
      operators: expect.objectContaining({ Conv: 3, Gemm: 1 }),
      macs: expect.any(Number),
    })
    // 3→16 at 32², 16→32 at 16², 32→64 at 8², and the head
    expect(described['macs']).toBe(27 * 16 * 1024 + 144 * 32 * 256 + 288 * 64 * 64 + 640)
    expect(JSON.stringify(described)).toContain('conv2d')
  })

  it('names the node that the native engine cannot compute, and why', async () => {
    const model = writeModel(join(folder, 'mixed.onnx'), {
      nodes: [
        { op: 'Relu', inputs: ['input'], outputs: ['r'] },
        { op: 'Det', inputs: ['r'], outputs: ['y'] },
      ],
      inputs: { input: [1, 3, 4, 4] },
      outputs: { y: [1, 3] },
    })
    const { stdout, status } = await run(['model', 'info', model])
    expect(status).toBe(0)
    expect(stdout).toMatch(/Det_1.*does not know/)
  })

  it('prints tables without --json', async () => {
    const { stdout, status } = await run(['model', 'info', '--input-size', '32', gap])
    expect(status).toBe(0)
    expect(stdout).toMatch(/24,?234/)
  })
})

it('gapcam model passes prints the graph after each pass', async () => {
  const model = writeModel(join(folder, 'mobilenet2.onnx'), networks['mobilenet2']!())
  const { stdout, status } = await run(['model', 'passes', model])
  expect(status).toBe(0)
  expect(stdout).toMatch(/^BatchNormalization /m)
  const last = stdout.slice(stdout.lastIndexOf('gap:'))
  expect(last).toMatch(/^Conv \+ clip /m)
  expect(last).not.toMatch(/^(BatchNormalization|Clip|GlobalAveragePool) /m)
})

describe('gapcam config', () => {
  const show = async (
    args: readonly string[],
    env: NodeJS.ProcessEnv = {},
  ): Promise<Map<string, { value: unknown; origin: string }>> => {
    const { stdout, stderr } = await run(['config', 'show', '--json', ...args], env)
    expect(stdout, stderr).not.toBe('')
    return new Map(
      jsonLines<{ key: string; value: unknown; origin: string }>(stdout).map(({ key, ...row }) => [key, row]),
    )
  }

  it('takes flags before the environment before the file before defaults', async () => {
    const file = join(folder, 'config.yaml')
    writeFileSync(file, 'topK: 2\nengine: onnxruntime\npolicy:\n  threshold: 0.1\n  margin: 0.2\n')
    const shown = await show(['--config', file, '--threshold', '0.7', '--set', 'mqtt.keepaliveS=30'], {
      GAPCAM_POLICY_THRESHOLD: '0.5',
      GAPCAM_TOP_K: '3',
    })
    expect(shown.get('policy.threshold')).toEqual({ value: 0.7, origin: 'flag' })
    expect(shown.get('mqtt.keepaliveS')).toEqual({ value: 30, origin: 'flag' })
    expect(shown.get('topK')).toEqual({ value: 3, origin: 'environment' })
    expect(shown.get('engine')).toEqual({ value: 'onnxruntime', origin: 'file' })
    expect(shown.get('policy.margin')).toEqual({ value: 0.2, origin: 'file' })
    expect(shown.get('policy.consecutive')).toEqual({ value: 3, origin: 'default' })
  })

  it('shows no secret', async () => {
    const { stdout } = await run([
      'config',
      'show',
      '--set',
      'mqtt.password=hunter2',
      '--broker',
      'mqtt://me:tricky@example/',
    ])
    expect(stdout).not.toMatch(/hunter2|tricky/)
  })

  it.each([
    ['an unknown key in the file', 'polcy:\n  threshold: 0.5\n', /policy/],
    ['an unknown key of a camera', 'cameras:\n  - id: a\n    source: x\n    rio: 0,0,1,1\n', /roi/],
    ['a wrong value', 'topK: 0\n', /topK/],
    ['a file that is not YAML', 'a: [1, 2\n', /configuration/],
    [
      'a region outside the frame',
      'cameras:\n  - id: a\n    source: x\n    roi: 0.5,0,0.6,1\n',
      /roi.*inside the frame/,
    ],
  ])('validate refuses %s', async (_, text, sentence) => {
    const file = join(folder, 'wrong.yaml')
    writeFileSync(file, text)
    const { status, stderr } = await run(['config', 'validate', '--config', file])
    expect(status).toBe(2)
    expect(stderr).toMatch(sentence)
  })

  it('the error for an unknown environment variable suggests the nearest one', async () => {
    const { status, stderr } = await run(['config', 'show'], { GAPCAM_TRESHOLD: '1' })
    expect(status).toBe(2)
    expect(stderr).toMatch(/GAPCAM_TRESHOLD.*did you mean/)
  })

  it('schema is a JSON Schema of every key', async () => {
    const { stdout } = await run(['config', 'schema'])
    expect(JSON.parse(stdout)).toMatchObject({ type: 'object', properties: { mqtt: { properties: { broker: {} } } } })
  })
})

it('gapcam cameras and profile say at which size pictures of a configured camera are decoded', async () => {
  const jpeg = readFileSync(join(projectRoot, 'models/photos/cat-720p.jpg'))
  const server = createServer((_, response) => response.setHeader('content-type', 'image/jpeg').end(jpeg))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const file = join(folder, 'decoded.yaml')
  const source = `http://127.0.0.1:${(server.address() as AddressInfo).port}/still.jpg`
  writeFileSync(
    file,
    `model: ${gap}\nstateDir: ${folder}\nmqtt: { broker: none }\npage: { enabled: false }\n` +
      `cameras: [{ id: yard, source: "${source}", fps: 20, zones: [{ id: gate, region: { x: 0, y: 0, w: 1, h: 1 } }] }]\n`,
  )
  try {
    const sizes = { full: { width: 1280, height: 720 }, decoded: { width: 320, height: 180 } }
    const cameras = await run(['cameras', '--config', file, '--json'])
    expect(cameras.status, cameras.stderr).toBe(0)
    expect(jsonLines(cameras.stdout)).toContainEqual({ camera: 'yard', ...sizes, bySource: false })
    const profile = await run(['profile', '--config', file, '--frames', '3', '--seconds', '0.1', '--json'])
    expect(profile.status, profile.stderr).toBe(0)
    expect(JSON.parse(profile.stdout)).toMatchObject({ decoded: { yard: sizes } })
  } finally {
    server.close()
  }
})

it('gapcam cameras --json prints one object with a URI per camera', async () => {
  const { status, stdout } = await run(['cameras', '--json'])
  expect(status).toBe(0)
  for (const camera of jsonLines(stdout)) expect(camera).toHaveProperty('uri')
})

it('every command has --help, and the error for an unknown command suggests the nearest one', async () => {
  for (const command of [[], ['run'], ['classify'], ['bench'], ['cameras'], ['model'], ['model', 'info'], ['config']]) {
    const { status, stdout } = await run([...command, '--help'])
    expect(status).toBe(0)
    expect(stdout).toMatch(/^Usage: gapcam/)
  }
  const { status, stderr } = await run(['clasify', 'x.jpg'])
  expect(status).toBe(2)
  expect(stderr).toMatch(/classify/)
})
