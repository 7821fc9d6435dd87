/** The folder of pictures for review: bounded to the byte, whole after a kill, clear when it cannot be written. */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import sharp from 'sharp'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { PictureStore } from '../../src/collector/store.js'
import { projectRoot } from '../shared.js'

const root = mkdtempSync(join(tmpdir(), 'gapcam-collected-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))

let jpeg: Buffer
beforeAll(async () => {
  jpeg = await sharp({ create: { width: 32, height: 32, channels: 3, background: '#337' } })
    .jpeg()
    .toBuffer()
})

let count = 0
const fresh = (maxBytes: number): PictureStore => new PictureStore({ folder: join(root, String(++count)), maxBytes })
const about = (minute: number) =>
  ({ zone: 'cam0/gate', atMs: Date.UTC(2026, 0, 1, 0, minute), why: 'unsure', said: 'open', score: 0.5 }) as const

const picturesIn = (folder: string): string[] =>
  existsSync(folder) ? readdirSync(folder).filter((file) => file.endsWith('.jpg')) : []
const bytesIn = (folder: string): number =>
  readdirSync(folder).reduce((sum, file) => sum + statSync(join(folder, file)).size, 0)

describe('a store', () => {
  it('gives back what it was told, the oldest first, with labels in any script', async () => {
    const store = fresh(1e6)
    const second = await store.keep(jpeg, about(2))
    const first = await store.keep(jpeg, about(1))
    expect(await store.label([first, '20260101T000000000Z-0000'], '門 🚪')).toBe(1)
    const kept = await store.list()
    expect(kept.map(({ name, label }) => [name, label])).toEqual([
      [first, '門 🚪'],
      [second, null],
    ])
    expect(kept[0]!.about).toEqual({ v: 1, ...about(1) })
    expect(await sharp((await store.picture(first))!).metadata()).toMatchObject({ width: 32, format: 'jpeg' })
    await store.label([first], null)
    expect((await store.list())[0]!.label).toBeNull()
  })

  it('never takes more than its bytes, and deletes the oldest without a label first', async () => {
    const one = jpeg.length + 150
    const store = fresh(4 * one)
    const names: string[] = []
    for (let i = 0; i < 4; i++) names.push(await store.keep(jpeg, about(i)))
    await store.label([names[0]!], 'open')
    for (let i = 4; i < 9; i++) {
      names.push(await store.keep(jpeg, about(i)))
      expect(bytesIn(store.folder)).toBeLessThanOrEqual(store.maxBytes)
    }
    const left = (await store.list()).map(({ name }) => name)
    expect(left[0]).toBe(names[0])
    expect(left.slice(1)).toEqual(names.slice(-(left.length - 1)))
    expect(await store.bytes()).toBe(bytesIn(store.folder))
  })

  it('leaves a vector out rather than a picture, and takes label and vector away with the picture', async () => {
    const store = fresh(jpeg.length + 600)
    const name = await store.keep(jpeg, about(1))
    await store.keepVector(name, new Uint8Array(5000))
    expect(await store.vector(name)).toBeNull()
    await store.keepVector(name, new Uint8Array(300))
    await store.label([name], 'open')
    expect(readdirSync(store.folder)).toHaveLength(3)
    await store.remove(name)
    expect(readdirSync(store.folder)).toEqual([])
  })

  it('refuses a picture larger than its bytes in one sentence, and keeps what it has', async () => {
    const store = fresh(jpeg.length + 300)
    await store.keep(jpeg, about(1))
    await expect(store.keep(Buffer.alloc(5000), about(2))).rejects.toMatchObject({ code: 'COLLECTED_NOT_WRITTEN' })
    expect(await store.list()).toHaveLength(1)
  })

  it('leaves out damaged pictures and names that it did not give, and deletes what a kill left half-written', async () => {
    const store = fresh(1e6)
    const name = await store.keep(jpeg, about(1))
    writeFileSync(join(store.folder, '20260101T000000000Z-0001.jpg'), jpeg)
    writeFileSync(join(store.folder, '20260101T000000000Z-0002.jpg'), 'no picture')
    writeFileSync(join(store.folder, 'notes.txt'), 'mine')
    const stray = join(store.folder, `${name}.jpg.999999.new`)
    writeFileSync(stray, 'half')
    utimesSync(stray, 0, 0)
    expect((await store.list()).map((kept) => kept.name)).toEqual([name])
    expect(existsSync(stray)).toBe(false)
    expect(existsSync(join(store.folder, 'notes.txt'))).toBe(true)
    expect(await store.picture('../notes')).toBeNull()
  })

  it('says why where its folder cannot be made', async () => {
    writeFileSync(join(root, 'file'), '')
    const store = new PictureStore({ folder: join(root, 'file', 'collected'), maxBytes: 1e6 })
    await expect(store.keep(jpeg, about(1))).rejects.toThrow(/picture for review in .*file\/collected: /)
    expect(await store.list()).toEqual([])
  })

  it('has only whole pictures after SIGKILL at any time', async () => {
    const folder = join(root, 'killed')
    const text = `import { PictureStore } from ${JSON.stringify(join(projectRoot, 'dist/collector/store.js'))}
const store = new PictureStore({ folder: ${JSON.stringify(folder)}, maxBytes: 40000 })
const jpeg = Buffer.from('${jpeg.toString('base64')}', 'base64')
for (let i = 0; ; i++) await store.keep(jpeg, { zone: '', atMs: Date.now(), why: 'audit', said: '', score: 0 })`
    for (const ms of [0, 7, 23]) {
      const child = spawn(process.execPath, ['--input-type=module', '-e', text])
      // The first file in the folder may still carry its temporary name. Only a picture counts.
      while (picturesIn(folder).length === 0) await wait(5)
      await wait(ms)
      child.kill('SIGKILL')
      await new Promise((resolve) => child.once('exit', resolve))
      const store = new PictureStore({ folder, maxBytes: 40_000 })
      const pictures = picturesIn(folder)
      expect(pictures.length).toBeGreaterThan(0)
      expect((await store.list()).map(({ name }) => `${name}.jpg`)).toEqual(pictures.sort())
      expect(bytesIn(folder)).toBeLessThanOrEqual(40_000)
    }
  })
})
