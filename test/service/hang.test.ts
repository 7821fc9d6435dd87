/**
 * Hangs are noticed by their deadline. The part that hangs is restarted alone if possible, else the program ends, so that
 * its supervisor can restart it. The hangs are real: a thread held by ptrace, a child stopped by SIGSTOP.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, it } from 'vitest'
import { endAll, gapcam, type Running } from '../process.js'
import { until } from '../publish/mosquitto.js'
import { projectRoot } from '../shared.js'
import { holdThread, startManager } from './service-manager.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-hang-'))
afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const model = ['--model', join(projectRoot, 'models/convnet-gap.onnx'), '--input-size', '32', '--threads', '1']
const quick = [...model, '--broker', 'none', '--json', '--set', 'page.enabled=false', '--set', `stateDir=${folder}`]
/** Generous time limits, since the machine may be busy. */
const soon = (condition: () => boolean, what: string): Promise<void> => until(condition, what, 60_000)
const alive = (told: readonly string[]): number => told.filter((state) => state === 'WATCHDOG=1').length

function childOf(run: Running, name: string): number {
  const [pid] = execFileSync('ps', ['-o', 'pid=,comm=', '--ppid', String(run.pid)], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.includes(name))
    .map((line) => parseInt(line, 10))
  if (!pid) throw new Error(`there is no child ${name}`)
  return pid
}

it('the program ends with status 70 if an inference or its main thread hangs, and stops notifying the watchdog', async () => {
  const hang = async (thread: 'main' | 'gapcam session', sentence: RegExp): Promise<void> => {
    const manager = await startManager()
    // The small network runs on the main thread, because its inferences are too short for another thread.
    const args = [
      'test://?fps=5',
      '--threads',
      '1',
      '--broker',
      'none',
      '--set',
      `stateDir=${join(folder, thread)}`,
      '--set',
      'hungAfterMs=4000',
      '--set',
      'page.enabled=false',
    ]
    const run = gapcam(['run', ...args], { env: { NOTIFY_SOCKET: manager.socket, WATCHDOG_USEC: '12000000' } })
    await soon(() => alive(manager.told()) > 1, 'signs of life')
    await holdThread(run.pid, thread)
    const before = alive(manager.told())
    expect(await run.ended, run.stderr()).toBe(70)
    expect(run.stderr()).toMatch(sentence)
    // One message per second would be four. Those on their way when the thread was stopped may still arrive.
    expect(alive(manager.told()) - before, 'signs of life while it hung').toBeLessThanOrEqual(2)
  }
  await Promise.all([
    hang('gapcam session', /"the engine has been in an inference for more than 4 s/),
    hang('main', /the main thread has hung for more than 4 s/),
  ])
}, 120_000)

it('time in which the whole program was stopped does not count as a hang', async () => {
  const manager = await startManager()
  const run = gapcam(['run', 'test://', ...quick, '--set', 'hungAfterMs=1000'], {
    env: { NOTIFY_SOCKET: manager.socket, WATCHDOG_USEC: '12000000' },
  })
  await soon(() => alive(manager.told()) > 1, 'signs of life')
  run.kill('SIGSTOP')
  await new Promise((resolve) => setTimeout(resolve, 2500)) // longer than any deadline of this run
  const before = alive(manager.told())
  run.kill('SIGCONT')
  await soon(() => alive(manager.told()) > before + 1, 'further signs of life')
  run.kill('SIGTERM')
  expect(await run.ended).toBe(143)
}, 120_000)

it('a camera whose program stalls is opened again, while the supervising loop notifies the watchdog', async () => {
  const manager = await startManager()
  const progress = join(folder, 'progress')
  const run = gapcam(
    [
      'run',
      'gst:videotestsrc is-live=true',
      ...quick,
      '--set',
      'policy.staleAfterMs=2000',
      '--set',
      `progressFile=${progress}`,
    ],
    { env: { NOTIFY_SOCKET: manager.socket, WATCHDOG_USEC: '12000000' } },
  )
  // Before its first frame a camera has the longer deadline of opening.
  await run.until(/"label":"class/, 60_000)
  await soon(() => alive(manager.told()) > 1, 'signs of life')
  const stalled = childOf(run, 'gst-launch')
  const before = alive(manager.told())
  process.kill(stalled, 'SIGSTOP')
  await run.until(/the camera has delivered no frame for 2 s/, 60_000)
  await run.until(/the camera is back/, 60_000)
  expect(childOf(run, 'gst-launch')).not.toBe(stalled)
  await soon(() => alive(manager.told()) >= before + 3, 'signs of life behind the stall')
  expect(Date.now() - statSync(progress).mtimeMs).toBeLessThan(60_000)
  run.kill('SIGTERM')
  expect(await run.ended).toBe(143)
  expect(manager.told().at(-1)).toBe('STOPPING=1')
}, 120_000)

it('a node that waits for its camera is healthy before the first frame', async () => {
  const progress = join(folder, 'waiting')
  const settings = ['waitForCameras=true', `progressFile=${progress}`, 'page.enabled=false']
  const run = gapcam(['run', '/dev/video99', '--broker', 'none', ...settings.flatMap((text) => ['--set', text])])
  await run.until(/No such file or directory \(trying again\)/)
  await expect.poll(() => existsSync(progress), { timeout: 20_000 }).toBe(true)
  const first = statSync(progress).mtimeMs
  await expect.poll(() => statSync(progress).mtimeMs, { timeout: 20_000 }).toBeGreaterThan(first)
  run.kill('SIGTERM')
  expect(await run.ended).toBe(143)
}, 60_000)
