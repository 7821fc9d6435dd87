/** `gapcam classify` on clips: a folder is one clip, the task is said, and what is no clip is named. */
import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { paintAction, type Action } from '../../src/camera/clip-scene.js'
import { programPath } from '../../src/camera/programs.js'
import { endAll, gapcam, jsonLines } from '../process.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-clips-'))
const model = join(projectRoot, 'models/clips.onnx')
const size = { width: 128, height: 96 }

/** A folder with the frames of an action. */
async function framesOf(name: string, action: Action, count: number): Promise<void> {
  mkdirSync(join(folder, name))
  const photo = sharp(join(projectRoot, 'models/photos/sunflower.jpg')).resize(120, 120).removeAlpha().raw()
  const data = await photo.toBuffer()
  const play = { action, x: 0.5, y: 0.5, near: 0.9, far: 0.2, side: 0.6 }
  for (let i = 0; i < count; i++) {
    const pixels = new Uint8Array(size.width * size.height * 3)
    const light = { phase: 1, speed: 0.04, bar: 0.08 }
    paintAction(pixels, size, { photo: { data, side: 120 }, play, light, frame: i, time: (i + 5) / (count + 9) })
    const file = join(folder, name, `${String(i).padStart(3, '0')}.png`)
    await sharp(pixels, { raw: { ...size, channels: 3 } }).toFile(file)
  }
}

beforeAll(async () => {
  await framesOf('left', 'passes left', 16)
  await framesOf('right', 'passes right', 31)
  await framesOf('short', 'comes', 5)
})
afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

it('classifies each folder as one clip, says the task, and names what is no clip', async () => {
  const clips = ['left', 'right', 'short', 'left/000.png'].map((name) => join(folder, name))
  const run = gapcam(['classify', '--json', '--model', model, ...clips])
  expect(await run.ended).toBe(3)
  const clip = { frames: 16, s: 1.5 }
  expect(jsonLines(run.stdout())).toMatchObject([
    { file: clips[0], label: 'passes left', task: 'video', clip },
    { file: clips[1], label: 'passes right', task: 'video', clip },
  ])
  expect(run.stderr()).toContain('task video: its input clip [1, 3, 16, 64, 64] is a clip of 16 frames')
  expect(run.stderr()).toContain('short is no clip: it has 5 pictures, and the model looks at clips of 16 frames')
  expect(run.stderr()).toContain('000.png is no clip: it is one picture')
})

it.skipIf(programPath('ffmpeg') === null)(
  'takes animated pictures, Motion JPEG and videos as clips (skipped where ffmpeg is not installed)',
  async () => {
    const frames = (ending: string): string => join(folder, 'left', `%03d.${ending}`)
    const files = ['gif', 'mjpeg', 'mp4'].map((ending) => join(folder, `clip.${ending}`))
    for (const file of files)
      execFileSync('ffmpeg', ['-v', 'error', '-framerate', '10', '-i', frames('png'), '-y', file])
    writeFileSync(join(folder, 'broken.mp4'), 'no video')
    const run = gapcam(['classify', '--json', '--model', model, ...files, join(folder, 'broken.mp4')])
    expect(await run.ended).toBe(3)
    expect(jsonLines(run.stdout())).toMatchObject(files.map((file) => ({ file, label: 'passes left' })))
    expect(run.stderr()).toContain('broken.mp4: ffmpeg cannot read it')
  },
)

it('refuses to classify single pictures with a model that takes clips', async () => {
  const run = gapcam(['classify', '--model', model, '--task', 'classify', join(folder, 'left')])
  expect(await run.ended).toBe(4)
  expect(run.stderr()).toContain('takes clips; write task: video, or leave task out')
})

it.each([
  ['eval', [folder]],
  ['record', ['test://', '-o', join(folder, 'x.gcrec')]],
])('%s refuses a model that takes clips', async (command, args) => {
  const run = gapcam([command, '--model', model, ...args])
  expect(await run.ended).toBe(4)
  expect(run.stderr()).toContain('looks at clips (video: its input clip [1, 3, 16, 64, 64]')
})

it('model info says the task', async () => {
  const run = gapcam(['model', 'info', model])
  expect(await run.ended).toBe(0)
  expect(run.stdout()).toMatch(/video: its input clip \[1, 3, 16, 64, 64\] is a clip of 16 frames, one every 100 ms/)
})
