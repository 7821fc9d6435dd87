/** `gapcam doctor` as a whole: a machine with several faults, a healthy one, and the model and configuration. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { exitStatusOf, type Check } from '../../src/doctor/doctor.js'
import { cleanEnvironment, cli, gapcam, launch } from '../process.js'
import { freePort } from '../publish/mosquitto.js'
import { bird, doctor, small, testFolder, type Report } from './run-doctor.js'

const folder = testFolder()

const canMount = ((): boolean => {
  try {
    execFileSync('unshare', ['-rm', 'mount', '-t', 'tmpfs', 'tmpfs', folder], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()

describe('on a machine with no camera, no broker and a full disk', () => {
  it.skipIf(!canMount)('each of the three is named with its fix (skipped where users may not mount)', async () => {
    const state = join(folder, 'full')
    mkdirSync(state)
    const port = await freePort()
    const source = readdirSync('/dev').some((name) => /^video\d/.test(name)) ? ['v4l2:///dev/video99'] : []
    const script = `mount -t tmpfs -o size=1m tmpfs '${state}' && mkdir '${state}/gapcam' && dd if=/dev/zero of='${state}/filler' bs=4k 2>/dev/null; exec "$@"`
    const run = launch(
      'unshare',
      [
        '-rm',
        'sh',
        '-c',
        script,
        'sh',
        process.execPath,
        cli,
        'doctor',
        ...source,
        '--broker',
        `mqtt://127.0.0.1:${port}`,
        '--set',
        `stateDir=${state}`,
      ],
      { env: cleanEnvironment() },
    )
    expect(await run.ended, run.stderr()).toBe(2)
    expect(run.stdout()).toMatch(/fail {2}space: the disk is full: .*\n +-> Free some space/)
    expect(run.stdout()).toMatch(/fail {2}write: .* cannot be written: the disk is full\n +-> Free some space/)
    expect(run.stdout()).toMatch(/fail {2}(camera|cam0): .*(no camera|video99).*\n +-> /)
    expect(run.stdout()).toMatch(
      new RegExp(
        `fail {2}port: nothing listens on 127\\.0\\.0\\.1:${port}: connection refused\\n +-> Start the broker`,
      ),
    )
    expect(run.stdout()).toMatch(/ok {4}golden answers: \d photographs get the right label/)
  })
})

describe('on a healthy machine', () => {
  it('every area is checked, and the status is 0', async () => {
    const { exit, checks, of } = await doctor(bird, '--broker', 'none')
    expect(exit).toBe(0)
    expect(new Set(checks.map(({ area }) => area))).toEqual(
      new Set(['program', 'disk', 'clock', 'board', 'model', 'camera', 'broker', 'home assistant']),
    )
    expect(of('self-test').verdict).toBe('ok')
    expect(of('golden answers').verdict).toBe('ok')
    expect(of('cam0 picture').verdict).toBe('ok')
  })
})

describe('the model and the configuration', () => {
  it('a missing model ends doctor with status 4', async () => {
    const { exit, of } = await doctor(bird, '--model', '/nowhere/model.onnx', '--broker', 'none')
    expect([exit, of('model').verdict, of('model').evidence]).toEqual([
      4,
      'fail',
      expect.stringContaining('/nowhere/model.onnx'),
    ])
  })

  it('a wrong configuration is the only finding, names the key, and ends doctor with status 2', async () => {
    const { exit, checks } = await doctor(bird, '--set', 'policy.treshold=1')
    expect([exit, checks.length, checks[0]!.evidence]).toEqual([
      2,
      1,
      expect.stringContaining('did you mean policy.threshold'),
    ])
  })

  it('labels that do not fit the model end doctor with status 4', async () => {
    writeFileSync(join(folder, 'labels.txt'), 'one\ntwo\n')
    const { exit, of } = await doctor(bird, ...small, '--labels', join(folder, 'labels.txt'), '--broker', 'none')
    expect([exit, of('model').evidence]).toEqual([4, expect.stringMatching(/labels/)])
  })

  it('a missing addon is a warning, and the other checks go on', async () => {
    const run = gapcam(['doctor', bird, ...small, '--broker', 'none', '--json'], {
      env: { GAPCAM_ADDON: '/nowhere/gapcam.node' },
    })
    expect(await run.ended, run.stderr()).toBe(0)
    const { checks } = JSON.parse(run.stdout()) as Report
    expect(checks.find(({ name }) => name === 'addon')).toMatchObject({
      verdict: 'warn',
      evidence: expect.stringMatching(/cannot be loaded/),
    })
    expect(checks.find(({ name }) => name === 'engine')).toMatchObject({
      verdict: 'warn',
      evidence: expect.stringMatching(/onnxruntime/),
    })
  })
})

it('the exit status is that of the first area that fails', () => {
  const failing = (...areas: Check['area'][]): number =>
    exitStatusOf(areas.map((area): Check => ({ area, name: 'x', verdict: 'fail', evidence: '', fix: '' })))
  expect([
    failing(),
    failing('broker'),
    failing('broker', 'camera'),
    failing('camera', 'model'),
    failing('model', 'disk'),
    failing('clock', 'board'),
  ]).toEqual([0, 5, 3, 4, 2, 0])
  expect(existsSync(cli)).toBe(true)
})
