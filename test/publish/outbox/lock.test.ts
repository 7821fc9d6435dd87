/** One process at a time uses an outbox; `gapcam outbox` works with and without that process. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { systemClock } from '../../../src/clock.js'
import { openDurableOutbox } from '../../../src/publish/outbox/durable.js'
import { ask, holderOf, lockFolder } from '../../../src/publish/outbox/lock.js'
import { endAll, gapcam, jsonLines } from '../../process.js'
import { projectRoot } from '../../shared.js'
import { cleanUp, hasMosquitto, startMosquitto, subscribe, temporaryFolder, until } from '../mosquitto.js'
import { recordingLog } from '../fixture.js'
import { add, settled } from './fixture.js'

const open: { close(): Promise<unknown> }[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((closable) => closable.close()))
  await endAll()
  await cleanUp()
})

const durable = async (folder: string): Promise<Awaited<ReturnType<typeof openDurableOutbox>>> => {
  const outbox = await openDurableOutbox({
    folder,
    maxBytes: 1 << 20,
    maxAgeMs: 1e12,
    ack: 'puback',
    log: recordingLog().log,
    clock: systemClock,
  })
  open.push(outbox)
  return outbox
}

describe('the lock', () => {
  it('belongs to one process, names it, and is released', async () => {
    const folder = join(temporaryFolder(), `${'long-name-'.repeat(15)}/outbox`)
    const release = await lockFolder(folder, async (question, write) => {
      write({ question })
    })
    expect(await holderOf(folder)).toMatchObject({ pid: process.pid })
    await expect(lockFolder(folder, async () => undefined)).rejects.toMatchObject({
      code: 'OUTBOX_LOCKED',
      message: expect.stringContaining(`process ${process.pid} uses it`),
    })
    const lines: unknown[] = []
    expect(await ask(folder, { a: 1 }, (line) => lines.push(line))).toBe(true)
    expect(lines).toEqual([{ question: { a: 1 } }])
    await release()
    expect(await ask(folder, {}, () => undefined)).toBe(false)
    const again = await lockFolder(folder, async () => undefined)
    await again()
    // The last lock file stays: its number must not be used again.
    expect(readdirSync(folder)).toEqual(['lock.2'])
  })

  it('of a killed process is taken over by exactly one of many', async () => {
    const folder = temporaryFolder()
    const child = spawn(
      process.execPath,
      [
        '--input-type=module',
        '-e',
        `
      import { lockFolder } from ${JSON.stringify(`${projectRoot}dist/publish/outbox/lock.js`)}
      await lockFolder(${JSON.stringify(folder)}, async () => {})
      console.log('locked')
      setInterval(() => {}, 1000)`,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    )
    await once(child.stdout, 'data')
    expect(await holderOf(folder)).toMatchObject({ pid: child.pid })
    const ended = once(child, 'exit')
    child.kill('SIGKILL')
    await ended
    expect(await holderOf(folder)).toBeNull()
    for (let round = 0; round < 20; round++) {
      const tries = await Promise.allSettled(Array.from({ length: 8 }, () => lockFolder(folder, async () => undefined)))
      const taken = tries.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
      expect(taken).toHaveLength(1)
      expect(await holderOf(folder)).toMatchObject({ pid: process.pid })
      await taken[0]!()
    }
    expect(readdirSync(folder)).toHaveLength(1)
  })

  it('without content, as after a power cut, blocks no process', async () => {
    const folder = temporaryFolder()
    writeFileSync(join(folder, 'lock.3'), '')
    await (await lockFolder(folder, async () => undefined))()
  })
})

describe('gapcam outbox', { timeout: 60_000 }, () => {
  const stateDir = (): { readonly env: NodeJS.ProcessEnv; readonly folder: string } => {
    const folder = temporaryFolder()
    return { env: { GAPCAM_STATE_DIR: folder }, folder: join(folder, 'gapcam', 'outbox') }
  }

  const run = async (
    args: readonly string[],
    env: NodeJS.ProcessEnv,
  ): Promise<{ status: unknown; lines: Record<string, unknown>[]; stderr: string }> => {
    const command = gapcam(['outbox', ...args], { env })
    const status = await command.ended
    return { status, lines: jsonLines(command.stdout()), stderr: command.stderr() }
  }

  it('reads and clears the outbox of a running process', async () => {
    const { env, folder } = stateDir()
    const outbox = await durable(folder)
    for (let i = 0; i < 3; i++) add(outbox, 'cam0')
    await settled(outbox)
    expect((await run(['status'], env)).lines).toMatchObject([
      { state: 'ok', queued: 3, seq: 3, pid: process.pid, boot: outbox.boot, ack: 'puback' },
    ])
    expect((await run(['list', '--limit', '2'], env)).lines).toEqual(
      [
        { camera: 'cam0', seq: 1 },
        { camera: 'cam0', seq: 2 },
      ].map((line) => expect.objectContaining(line)),
    )
    expect(await run(['clear'], env)).toMatchObject({ status: 0, stderr: '3 events discarded\n' })
    expect(outbox.stats().queued).toBe(0)
    expect((await run(['list'], env)).lines).toEqual([])
  })

  it('a second gapcam on the same folder names the first one and continues without the disk', async () => {
    const { folder } = stateDir()
    await durable(folder)
    const second = await durable(folder)
    expect(second.stats()).toMatchObject({
      state: 'degraded',
      reason: expect.stringContaining(`process ${process.pid} uses it`),
    })
    add(second, 'cam0', true)
    expect(second.takeLive()).toMatchObject({ seq: 1 })
    expect(second.stats(), 'its end would lose the event').toMatchObject({ queued: 1, inMemory: 1 })
  })

  it('reports an empty outbox where there is no folder, and makes none', async () => {
    const { env, folder } = stateDir()
    expect((await run(['status'], env)).lines).toMatchObject([{ state: 'none', queued: 0 }])
    expect((await run(['list'], env)).lines).toEqual([])
    expect(() => readdirSync(folder)).toThrow(/ENOENT/)
    expect(await run(['drain'], env)).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('no gapcam is running'),
    })
  })

  it.skipIf(!hasMosquitto)('drains when no gapcam is running (skipped where mosquitto is not installed)', async () => {
    const { env, folder } = stateDir()
    mkdirSync(folder, { recursive: true })
    const outbox = await durable(folder)
    for (let i = 0; i < 30; i++) add(outbox, 'cam0')
    await settled(outbox)
    await open.pop()!.close()
    const broker = await startMosquitto()
    const client = await subscribe(broker.port, 'gapcam/#')
    expect(await run(['drain', '--broker', broker.url], env)).toMatchObject({
      status: 0,
      stderr: expect.stringContaining('30 events sent, 0 wait'),
    })
    await until(() => client.messages.length === 30, 'the events')
    expect(client.messages.map(({ topic, payload }) => [topic, (JSON.parse(payload) as { seq: number }).seq])).toEqual(
      Array.from({ length: 30 }, (_, i) => ['gapcam/gapcam/cam0/backlog', i + 1]),
    )
    expect((await run(['status'], env)).lines).toMatchObject([{ queued: 0, seq: 30 }])
    expect(
      readFileSync(join(folder, readdirSync(folder).find((name) => name.endsWith('.log'))!))
        .subarray(0, 8)
        .toString(),
    ).toBe('GAPCAMOB')
  })
})
