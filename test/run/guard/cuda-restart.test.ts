/** When a run ends because its GPU is lost: the rule by itself, then with a real state folder and a fake clock. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  createCudaRestart,
  restartDueMs,
  restartsInARow,
  type CudaRestart,
  type CudaRestartOptions,
} from '../../../src/run/guard/cuda-restart.js'
import type { CudaFacts } from '../../../src/engine/engine.js'
import { until } from '../../publish/mosquitto.js'

const minute = 60_000
const hour = 60 * minute
const day = 24 * hour

describe('a run ends for a lost GPU', () => {
  it.each([
    [0, 3_000, 3_000], // the first time at once
    [1, 3_000, 10 * minute],
    [2, 3_000, hour],
    [3, 3_000, day],
    [50, 3_000, day],
    [1, 25 * minute, 25 * minute], // it has lasted long enough
    [2, 25 * minute, hour],
    [50, day, day], // a day of service is a new beginning
  ])('after %i restarts, when the GPU has served for %i ms, at %i ms', (restarts, servedMs, dueMs) => {
    expect(restartDueMs(restarts, servedMs)).toBe(dueMs)
  })

  it('a GPU that fails after every start costs three restarts in the first hours, then one a day', () => {
    let [now, count] = [0, 0]
    for (; now < 10 * day; count++) now += restartDueMs(count, 1000)
    expect(count).toBe(3 + 10)
  })

  it('a day of service resets the count', () => {
    expect([restartsInARow(7, day - 1), restartsInARow(7, day)]).toEqual([7, 0])
  })
})

describe('with a state folder', () => {
  let folder: string
  let nowMs: number
  let ended: string[]
  let warned: string[]
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'gapcam-cuda-restart-'))
    ended = []
    warned = []
  })
  afterEach(() => rmSync(folder, { recursive: true, force: true }))

  const facts = (restartWanted: boolean): CudaFacts => ({
    device: 'Orin',
    generation: 'sm_87',
    precision: 'fp16',
    driver: '12.6',
    kernels: '',
    selfTest: 0,
    measured: null,
    state: restartWanted ? 'off' : 'serving',
    faults: 1,
    retries: 0,
    framesOnCpu: 0,
    lastFault: 'ILLEGAL_ADDRESS',
    restartWanted,
  })

  /** A run that finds its GPU lost at the first check. It starts at 1000 s by the fake clock. */
  function start(more: Partial<CudaRestartOptions> = {}): CudaRestart {
    nowMs = 1_000_000
    return createCudaRestart({
      mode: 'auto',
      isSupervised: true,
      isDemanded: false,
      folder,
      facts: () => facts(true),
      restart: (why) => {
        ended.push(why)
      },
      clock: { now: () => nowMs, wall: () => 0 },
      startedMs: nowMs,
      log: {
        warn: (_: unknown, text: string) => {
          warned.push(text)
        },
      } as CudaRestartOptions['log'],
      ...more,
    })
  }

  it('the first run ends immediately, the second after ten minutes, and both log why', async () => {
    const first = start()
    for (let i = 0; i < 3; i++) first.tick()
    await until(() => ended.length > 0, 'the first end')
    expect(ended).toEqual(['since CUDA is lost for this process: ILLEGAL_ADDRESS'])
    await first.close()
    expect(JSON.parse(readFileSync(join(folder, 'cuda-restart.json'), 'utf8'))).toEqual({ version: 1, restarts: 1 })

    const second = start()
    second.tick()
    nowMs += 4 * minute
    second.tick()
    expect(second.describe()).toEqual({ restarts: 1, restart_in_s: 360 })
    expect(warned).toEqual([
      'CUDA is lost again after 1 restart: the CPU serves, and gapcam restarts in 10 min to get the GPU back',
    ])
    nowMs += 6 * minute
    for (let i = 0; i < 3; i++) second.tick()
    await until(() => ended.length > 1, 'the second end')
    await second.close()
    expect(ended).toHaveLength(2)
  })

  it('nothing happens while the GPU serves', () => {
    const run = start({ facts: () => facts(false) })
    run.tick()
    nowMs += 2 * day
    run.tick()
    expect([run.describe(), ended, warned]).toEqual([{ restarts: 0 }, [], []])
  })

  it.each([
    [{ isSupervised: false }, 'there is no service manager to start it again'],
    [{ mode: 'never' }, 'cudaRestart is never'],
    [
      { isDemanded: true },
      'with engine: cuda nothing would serve if the GPU did not come back (cudaRestart: always restarts nevertheless)',
    ],
  ] as const)('with %j the CPU continues, which is logged once', (options, why) => {
    const run = start(options)
    for (let i = 0; i < 3; i++) run.tick()
    expect([run.describe(), ended]).toEqual([{ restarts: 0 }, []])
    expect(warned).toEqual([`CUDA is lost until gapcam starts again, and gapcam does not restart for it: ${why}`])
  })

  it('cudaRestart: always ends the run without a service manager and with a demanded engine', async () => {
    const run = start({ isSupervised: false, isDemanded: true, mode: 'always' })
    run.tick()
    await until(() => ended.length > 0, 'the end')
    await run.close()
  })

  it('a run that cannot record its restart on disk continues, and logs why', async () => {
    const file = join(folder, 'file')
    writeFileSync(file, '')
    const run = start({ folder: file })
    for (let i = 0; i < 3; i++) run.tick()
    await until(() => warned.some((text) => text.includes('could not be recorded on disk')), 'the warning')
    await run.close()
    expect(ended).toEqual([])
  })
})
