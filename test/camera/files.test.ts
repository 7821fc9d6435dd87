/** Files as cameras: a video, and a folder that changes while it is looped. */
import { copyFileSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { CameraOptions } from '../../src/camera/camera.js'
import type { PictureNeed } from '../../src/camera/decode-size.js'
import { openCamera } from '../../src/camera/sources.js'
import { endAll, gapcam, jsonLines } from '../process.js'
import { projectRoot } from '../shared.js'
import { makeClips, settings, type Clips } from './clips.js'

let clips: Clips

beforeAll(async () => {
  clips = await makeClips()
})
afterEach(endAll)
afterAll(() => clips.remove())

describe('a video file', () => {
  it('is classified frame by frame to its end without loss', async () => {
    const run = gapcam(['run', clips.video, ...settings])
    expect(await run.ended, run.stderr()).toBe(0)
    expect(run.stderr()).toMatch(/480 x 320 i420/)
    expect(run.stderr()).toMatch(/^30 frames classified .* 0 dropped/m)
    expect(jsonLines(run.stdout())[0]).toMatchObject({ label: 'chickadee' })
  })

  it('starts again with --loop', async () => {
    const run = gapcam(['run', clips.video, ...settings, '--loop', '--frames', '70'])
    expect(await run.ended, run.stderr()).toBe(0)
    expect(run.stderr()).toMatch(/^70 frames classified/m)
  })

  it('that is not a video, is cut before its index, or is missing gives an error with its name', async () => {
    const cut = join(clips.folder, 'cut.mp4')
    writeFileSync(cut, readFileSync(clips.video).subarray(0, 5000)) // MP4's index is at its end
    for (const file of [join(projectRoot, 'package.json'), cut, join(clips.folder, 'none.mp4')]) {
      const run = gapcam(['run', file, ...settings])
      expect(await run.ended).toBe(3)
      expect(run.stderr()).toContain(file)
      expect(run.stderr()).not.toMatch(/ {4}at /) // no stack
    }
  })
})

it('a video has its own size unless it is fitted to what zones need; proportions stay', async () => {
  const { signal } = new AbortController()
  const sizeFor = async (options: CameraOptions): Promise<readonly [number, number]> => {
    const camera = openCamera(clips.video, options)
    const { width, height } = await camera.open(signal)
    const frame = await camera.next(signal)
    frame?.release()
    await camera.close()
    expect(frame).toMatchObject({ width, height, format: 'i420' })
    return [width, height]
  }
  const whole: PictureNeed = { width: 96, height: 96, resize: 'cover' }
  const half: PictureNeed = { ...whole, roi: { x: 0, y: 0.5, width: 0.5, height: 0.5 }, resize: 'contain' }
  expect(await sizeFor({ needs: () => [whole] })).toEqual([480, 320])
  expect(await sizeFor({ needs: () => [whole], fitsStreams: true })).toEqual([144, 96])
  expect(await sizeFor({ needs: () => [half, whole], fitsStreams: true })).toEqual([192, 128])
  const closeUp: PictureNeed = { ...whole, roi: { x: 0, y: 0, width: 0.3, height: 0.31 } }
  expect(await sizeFor({ needs: () => [whole, closeUp], fitsStreams: true })).toEqual([480, 320])
  expect(await sizeFor({ needs: () => [], fitsStreams: true })).toEqual([480, 320])
})

it('a looped folder shows new, replaced and removed pictures in its next round', async () => {
  const box = join(clips.folder, 'box')
  mkdirSync(box)
  const put = (photo: string, name: string): void => {
    // Written under another name and renamed, so that no half picture is seen.
    copyFileSync(join(projectRoot, 'models/photos', photo), join(box, `${name}.part`))
    renameSync(join(box, `${name}.part`), join(box, name))
  }
  put('bird.jpg', 'a.jpg')
  const run = gapcam([
    'run',
    ...settings,
    '--set',
    'policy.consecutive=1',
    '--set',
    'policy.smoothingMs=0',
    '--set',
    `cameras=[{"id":"box","source":"${box}","loop":true,"holdMs":200}]`,
  ])
  await run.until(/"label":"chickadee"/)
  put('parrot.jpg', 'a.jpg')
  await run.until(/"label":"macaw"/)
  put('bird.jpg', 'b.jpg')
  await run.until(/"label":"macaw"[^]*"label":"chickadee"/)
  rmSync(join(box, 'a.jpg'))
  rmSync(join(box, 'b.jpg'))
  await run.until(/(the folder holds none|none of the pictures).*trying again/)
  put('parrot.jpg', 'c.jpg')
  await run.until(/the camera is back/)
  run.kill('SIGINT')
  expect(await run.ended).toBe(130)
}, 60_000)
