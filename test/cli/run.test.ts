/** `gapcam run` as people run it: pictures and the moving scene as cameras, real brokers, every way to end. */
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { floats, writeModel } from '../onnx-builder.js'
import { endAll, gapcam, jsonLines, launch } from '../process.js'
import { cleanUp, freePort, retained, startMosquitto, subscribe, until } from '../publish/mosquitto.js'
import { Random } from '../random.js'
import { projectRoot } from '../shared.js'

interface Line {
  camera: string
  label: string
  engine: string
  top: { score: number }[]
}

const photos = join(projectRoot, 'models/photos')
const bird = join(photos, 'bird.jpg')
const folder = mkdtempSync(join(tmpdir(), 'gapcam-run-'))
afterEach(async () => {
  await endAll()
  await cleanUp()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

describe('with the embedded broker', () => {
  it('an independent subscriber finds the label retained, and the state names the executor', async () => {
    const port = await freePort()
    const run = gapcam(['run', bird, '--loop', '--json', '--set', `mqtt.port=${port}`])
    await run.until(/"label":"chickadee"/)
    await until(async () => (await retained(port, 'gapcam/gapcam/cam0/label')) === 'chickadee', 'the label')
    expect(JSON.parse(await retained(port, 'gapcam/gapcam/cam0/state'))).toMatchObject({
      v: 1,
      label: 'chickadee',
      engine: expect.stringMatching(/^native-/),
    })
    expect(await retained(port, 'gapcam/gapcam/status')).toBe('online')
    run.kill('SIGINT')
    expect(await run.ended).toBe(130)
  })
})

describe('with mosquitto', () => {
  it('SIGINT leaves offline and unknown retained, and ends with 130 even if it comes twice at once', async () => {
    const broker = await startMosquitto()
    const run = gapcam([
      'run',
      photos,
      '--loop',
      '--json',
      '--broker',
      broker.url,
      '--node',
      'desk',
      '--camera',
      'bench',
      '--set',
      'mqtt.base=site/hall',
    ])
    await run.until(/"camera":"bench","label":"chickadee"/)
    run.kill('SIGINT')
    run.kill('SIGINT')
    expect(await run.ended).toBe(130)
    expect(await retained(broker.port, 'site/hall/desk/status')).toBe('offline')
    // Nothing that the broker keeps says that the camera still sees something.
    expect(await retained(broker.port, 'site/hall/desk/bench/status')).toBe('offline')
    expect(await retained(broker.port, 'site/hall/desk/bench/label')).toBe('unknown')
    expect(JSON.parse(await retained(broker.port, 'site/hall/desk/bench/state'))).toMatchObject({
      label: 'unknown',
      reason: 'stopped',
      prev: 'chickadee',
      score: 0,
    })
  })

  it('a broker killed with SIGKILL and started again finds the label there again; no inference waits for it', async () => {
    const broker = await startMosquitto()
    const run = gapcam(['run', bird, '--loop', '--json', '--broker', broker.url, '--fps', '30'])
    await run.until(/"label":"chickadee"/)
    await until(
      async () => (await retained(broker.port, 'gapcam/gapcam/cam0/label')) === 'chickadee',
      'the label to be retained',
    )
    await broker.kill()
    await run.until(/connection broke/)
    await new Promise((resolve) => setTimeout(resolve, 1000)) // frames go on meanwhile
    await broker.restart()
    const { messages } = await subscribe(broker.port, 'gapcam/gapcam/cam0/label')
    await until(() => messages.some(({ payload }) => payload === 'chickadee'), 'the label after the restart', 40_000)
    run.kill('SIGTERM')
    expect(await run.ended).toBe(143)
    expect(Number(/(\d+) frames classified/.exec(run.stderr())?.[1])).toBeGreaterThan(20)
  }, 90_000)

  it('runs on without a broker, and logs the reason once', async () => {
    const port = await freePort()
    const run = gapcam([
      'run',
      bird,
      '--loop',
      '--json',
      '--broker',
      `mqtt://127.0.0.1:${port}`,
      '--frames',
      '40',
      '--fps',
      '30',
    ])
    expect(await run.ended, run.stderr()).toBe(0)
    expect(run.stderr()).toMatch(/refused|ECONNREFUSED|unreachable/i)
  })

  it('two instances with one client id are told apart in one sentence', async () => {
    const broker = await startMosquitto()
    const args = ['run', bird, '--loop', '--json', '--broker', broker.url, '--fps', '10']
    const first = gapcam(args)
    await first.until(/connected/)
    const second = gapcam(args)
    await Promise.race(
      [first, second].map((run) =>
        run
          .until(/is a second gapcam running as gapcam-gapcam\? Give each its own --node/, 50_000)
          .catch(() => new Promise(() => undefined)),
      ),
    )
    for (const run of [first, second]) run.kill('SIGINT')
    expect(await first.ended).toBe(130)
    expect(await second.ended).toBe(130)
  }, 60_000)
})

describe('what it is given', () => {
  it('several cameras of a YAML file share the engine fairly', async () => {
    const file = join(folder, 'three.yaml')
    writeFileSync(
      file,
      [
        'mqtt: { broker: none }',
        'frames: 150',
        'cameras:',
        ...['a', 'b', 'c'].map((id, i) => `  - { id: ${id}, source: "${[bird, 'test://', photos][i]}", loop: true }`),
        '',
      ].join('\n'),
    )
    const broker = await startMosquitto()
    const run = gapcam(['run', '--config', file, '--json', '--broker', broker.url, '--set', 'mqtt.resultEveryMs=0'])
    const { messages } = await subscribe(broker.port, 'gapcam/gapcam/+/result')
    expect(await run.ended, run.stderr()).toBe(0)
    const counts = ['a', 'b', 'c'].map((id) => messages.filter(({ topic }) => topic.includes(`/${id}/`)).length)
    expect(Math.min(...counts), `results by camera: ${counts.join(', ')}`).toBeGreaterThan(0)
    expect(Math.max(...counts)).toBeLessThanOrEqual(2 * Math.min(...counts))
  })

  it('a SIGHUP during the start is acted on once the node is open', async () => {
    const password = join(folder, 'open-password')
    writeFileSync(password, 'a-password\n', { mode: 0o644 })
    const run = gapcam(['run', bird, '--loop', '--json', '--broker', 'none', '--set', `mqtt.passwordFile=${password}`])
    await run.until(/every user can read it/) // said before anything is opened
    run.kill('SIGHUP')
    await run.until(/configuration read again: nothing changed/)
    await run.until(/"label":"chickadee"/)
    run.kill('SIGTERM')
    expect(await run.ended).toBe(143)
  })

  it('one of several cameras that cannot be opened is left out, and the log says so', async () => {
    const file = join(folder, 'dead.yaml')
    writeFileSync(
      file,
      `mqtt: { broker: none }\nframes: 12\ncameras:\n  - { id: porch, source: "${bird}", loop: true }\n  - { id: dead, source: /dev/video99 }\n`,
    )
    const run = gapcam(['run', '--config', file, '--json'])
    expect(await run.ended, run.stderr()).toBe(0)
    expect(run.stderr()).toMatch(/"camera":"dead".*video99.*it is left out until the next start \(waitForCameras/)
    expect(run.stderr()).toMatch(/^12 frames classified/m)
  })

  describe('flags add to the cameras of a file', () => {
    const file = join(folder, 'two.yaml')
    const settled = async (...flags: string[]): Promise<{ status: unknown; stderr: string; cameras: string[] }> => {
      writeFileSync(
        file,
        `mqtt: { broker: none }\nframes: 24\ncameras:\n  - { id: porch, source: "${bird}", loop: true }\n  - { id: hall, source: "${bird}", loop: true }\n`,
      )
      const run = gapcam(['run', '--config', file, '--json', ...flags])
      const status = await run.ended
      return {
        status,
        stderr: run.stderr(),
        cameras: [...new Set(jsonLines<{ camera: string }>(run.stdout()).map(({ camera }) => camera))].sort(),
      }
    }

    it('none is lost to --fps, --roi or --loop', async () => {
      expect(await settled('--fps', '20', '--roi', '0.1,0.1,0.8,0.8')).toMatchObject({
        status: 0,
        cameras: ['hall', 'porch'],
      })
    })

    it('--camera takes one, SOURCE takes their place', async () => {
      expect(await settled('--camera', 'hall')).toMatchObject({ status: 0, cameras: ['hall'] })
      expect(await settled(photos, '--loop')).toMatchObject({ status: 0, cameras: ['cam0'] })
    })

    it('an unknown name is a usage error that names the nearest one', async () => {
      const { status, stderr } = await settled('--camera', 'hal')
      expect([status, stderr]).toEqual([2, expect.stringContaining('did you mean hall?')])
    })
  })

  it('a corrupt and an empty picture in a folder are reported, and the others go on', async () => {
    const mixed = mkdtempSync(join(folder, 'mixed-'))
    copyFileSync(bird, join(mixed, 'a.jpg'))
    writeFileSync(join(mixed, 'b.jpg'), 'no picture')
    writeFileSync(join(mixed, 'c.jpg'), '')
    const run = gapcam(['run', mixed, '--frames', '30', '--broker', 'none', '--json'])
    expect(await run.ended, run.stderr()).toBe(0)
    expect(run.stderr()).toMatch(/b\.jpg/)
    expect(run.stderr()).toMatch(/c\.jpg/)
    expect(jsonLines<Line>(run.stdout())[0]).toMatchObject({ label: 'chickadee' })
  })

  it('a model whose outputs are not numbers gives no label, and the frames are counted', async () => {
    const model = writeModel(join(folder, 'nan.onnx'), {
      nodes: [
        { op: 'GlobalAveragePool', inputs: ['input'], outputs: ['p'] },
        { op: 'Flatten', inputs: ['p'], outputs: ['f'] },
        { op: 'Mul', inputs: ['f', 'nan'], outputs: ['y'] },
      ],
      weights: { nan: floats([3], [NaN, 1, 2]) },
      inputs: { input: [1, 3, 32, 32] },
      outputs: { y: [1, 3] },
    })
    const broker = await startMosquitto()
    const run = gapcam(['run', bird, '--loop', '--model', model, '--broker', broker.url, '--json', '--fps', '50'])
    const { messages } = await subscribe(broker.port, 'gapcam/gapcam/cam0/label')
    await run.until(/connected/)
    await new Promise((resolve) => setTimeout(resolve, 1500))
    run.kill('SIGINT')
    expect(await run.ended).toBe(130)
    expect(Number(/(\d+) unusable/.exec(run.stderr())?.[1])).toBeGreaterThan(5)
    expect(messages.filter(({ payload }) => payload !== 'unknown' && payload !== '')).toEqual([])
    expect(jsonLines<Line>(run.stdout()).filter(({ label }) => label !== 'unknown')).toEqual([])
  })

  it.each([
    ['a camera that is not there', ['v4l2:///dev/video99'], 3, /\/dev\/video99/],
    ['a source of no known kind', ['gopher://x'], 2, /gopher.*known are/],
    ['a video that is not there', ['/nowhere/clip.mp4'], 3, /clip\.mp4/],
    ['a broker address that is none', [bird, '--broker', 'http://x'], 2, /mqtt\.broker/],
    ['a Raspberry Pi camera where its program is not', ['csi://0'], 3, /rpicam-vid|nvargus|install/],
  ])('%s: one sentence and the right status', async (_, args, status, sentence) => {
    const run = gapcam(['run', ...args, '--json'])
    expect(await run.ended, run.stderr()).toBe(status)
    expect(run.stderr()).toMatch(sentence)
    expect(run.stderr()).not.toMatch(/ {4}at /)
  })

  it("a port that another program holds: status 5 and the port's number", async () => {
    const broker = await startMosquitto()
    const run = gapcam(['run', bird, '--set', `mqtt.port=${broker.port}`])
    expect(await run.ended).toBe(5)
    expect(run.stderr()).toContain(String(broker.port))
  })
})

describe('how it ends', () => {
  it('with 143 on SIGTERM at any time', async () => {
    const random = new Random(4)
    for (let i = 0; i < 6; i++) {
      const run = gapcam(['run', photos, '--loop', '--json', '--broker', 'none'])
      // Before Node has run our first line, the signal's own effect ends it.
      await new Promise((resolve) => setTimeout(resolve, i === 0 ? 20 : random.between(50, 1200)))
      run.kill('SIGTERM')
      expect([143, 'SIGTERM']).toContain(await run.ended)
    }
  }, 60_000)

  it.each(['native', 'onnxruntime'])('with 130 in the middle of an inference on %s', async (engine) => {
    const run = gapcam(['run', bird, '--loop', '--json', '--broker', 'none', '--engine', engine])
    await run.until(/"label":"chickadee"/)
    run.kill('SIGINT')
    expect(await run.ended).toBe(130)
  })

  it('by itself at the end of a folder, with a summary', async () => {
    const run = gapcam(['run', bird, '--json', '--broker', 'none', '--fps', '20'])
    expect(await run.ended).toBe(0)
    expect(run.stderr()).toMatch(/^\d+ frames classified by native .* 0 unusable/m)
  })

  it('quietly when its reader has gone', async () => {
    const run = launch('sh', [
      '-c',
      `'${process.execPath}' '${join(projectRoot, 'dist/cli/main.js')}' run '${photos}' --loop --json --broker none 2>/dev/null | head -1`,
    ])
    expect(await run.ended).toBe(0)
    expect(jsonLines<Line>(run.stdout())).toHaveLength(1)
  })
})
