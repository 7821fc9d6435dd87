/** The flight recorder: memory and disk stay within their limits, and a full disk changes nothing else. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Frame } from '../../src/frame.js'
import { readRecording } from '../../src/recording/format.js'

import { classifier, folder, frameOf, recorded, rig } from './fixture.js'
describe('the flight recorder', () => {
  it('keeps the last seconds within its memory limit', async () => {
    const short = await recorded('seconds', 40, { seconds: 1 })
    expect(short.recording.frames.at(-1)!.seq).toBe(40)
    expect(short.recording.frames.length).toBeGreaterThanOrEqual(10)
    expect(short.recording.frames.length).toBeLessThanOrEqual(12)
    const small = await recorded('memory', 40, { memoryBytes: 5 * 4800 })
    expect(small.recording.frames.map(({ seq }) => seq)).toEqual([36, 37, 38, 39, 40])
  })

  it("writes when the label changes, at most once in the ring's length", async () => {
    const { recorder, take, close } = rig('events', { on: ['label_changed'], seconds: 1 })
    // Two pictures that the network tells apart, each for half a second: eight changes in four seconds.
    const [one, two] = await twoLabels()
    for (let i = 0; i < 40; i++) {
      await take({ ...(Math.floor(i / 5) % 2 === 0 ? one : two), seq: i + 1 })
      await recorder.idle
    }
    await close()
    await recorder.close()
    const files = readdirSync(join(folder, 'events'))
    expect(files.length).toBeGreaterThanOrEqual(2)
    expect(files.length).toBeLessThanOrEqual(5)
    for (const file of files)
      expect(readRecording(readFileSync(join(folder, 'events', file)))).toMatchObject({
        cut: null,
        about: { reason: 'label_changed' },
      })
  })

  async function twoLabels(): Promise<[Frame, Frame]> {
    const pass = (await import('../../src/pixels/preprocess.js')).createPreprocessor(classifier.preprocessing())
    const seen = new Map<number, Frame>()
    for (let seed = 1; seen.size < 2 && seed < 200; seed++) {
      const level = (seed * 37) % 256
      const frame = frameOf(seed)
      const flat = (frame.pixels as Uint8Array).map((v, i) => (seed % 2 === 0 ? v : i % 120 < 60 ? level : 255 - level))
      const candidate = { ...frame, pixels: flat, copyTo: (target: Uint8Array) => target.set(flat) }
      await pass.run(candidate, classifier.input.data as Float32Array)
      await classifier.engine.run()
      const logits = [...(classifier.output.data as Float32Array)]
      seen.set(logits.indexOf(Math.max(...logits)), candidate)
    }
    pass.close()
    const [one, two] = [...seen.values()]
    if (!one || !two) throw new Error('the network gives one label to everything')
    return [one, two]
  }

  it('deletes the oldest recordings at its disk limit', async () => {
    const name = 'disk'
    mkdirSync(join(folder, name))
    const one = (await recorded(name, 10)).bytes.length
    for (let i = 0; i < 5; i++) {
      const { path } = await recorded(name, 10, { diskBytes: one * 3.5 + 9e4 })
      // Names are of the frames' time, which is the same here: told apart, and aged, by hand.
      const kept = join(folder, name, `cam0-${i}.gcrec`)
      execFileSync('mv', [path, kept])
      utimesSync(kept, 1000 + i, 1000 + i)
    }
    const files = readdirSync(join(folder, name))
    expect(files).toContain('cam0-4.gcrec')
    expect(files).not.toContain('cam0-0.gcrec')
    expect(files.reduce((sum, file) => sum + statSync(join(folder, name, file)).size, 0)).toBeLessThanOrEqual(
      one * 3.5 + 9e4,
    )
  })

  const canMount =
    process.getuid?.() === 0 &&
    (() => {
      try {
        mkdirSync(join(folder, 'probe'))
        execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', join(folder, 'probe')], { stdio: 'ignore' })
        execFileSync('umount', [join(folder, 'probe')], { stdio: 'ignore' })
        return true
      } catch {
        return false
      }
    })()
  it.skipIf(!canMount)(
    'a full disk is logged once and leaves nothing half-written; recording works again when there is room (skipped where no file system may be mounted)',
    async () => {
      const disk = join(folder, 'full')
      mkdirSync(disk)
      execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', disk])
      try {
        writeFileSync(join(disk, 'other'), Buffer.alloc(60_000))
        const { recorder, warnings, take, close } = rig('full', { on: ['label_changed'], seconds: 0.2 })
        const [one, two] = await twoLabels()
        for (let i = 0; i < 20; i++) {
          await take({ ...(Math.floor(i / 3) % 2 === 0 ? one : two), seq: i + 1 })
          await recorder.idle
        }
        await expect(recorder.request('asked for')).rejects.toMatchObject({
          code: 'RECORDING_NOT_WRITTEN',
          message: expect.stringMatching(/: the disk is full$/),
        })
        expect(warnings).toEqual([expect.stringMatching(/: the disk is full$/)])
        expect(readdirSync(disk)).toEqual(['other'])
        rmSync(join(disk, 'other'))
        await take({ ...one, seq: 50 })
        expect(readRecording(readFileSync(await recorder.request('asked for'))).frames.at(-1)!.seq).toBe(50)
        await close()
      } finally {
        execFileSync('umount', [disk])
      }
    },
  )

  it('refuses to write before the first frame', async () => {
    const { recorder, close } = rig('empty')
    await expect(recorder.request('asked for')).rejects.toMatchObject({ code: 'RECORDING_NOT_WRITTEN' })
    await close()
  })
})
