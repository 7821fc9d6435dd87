/** A real V4L2 driver (the kernel's vivid) in a virtual machine: formats, zones, a GPIO line, controls, loss, permissions. */
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { endAll, jsonLines, launch } from '../process.js'
import { projectRoot } from '../shared.js'

interface Scene {
  scene: string
  status: number
  stdout: string
  stderr: string
  [fact: string]: unknown
}

const scenes = new Map<string, Scene>()
const scene = (name: string): Scene => scenes.get(name)!
const here = join(projectRoot, 'test/camera-vm')

beforeAll(async () => {
  const vm = launch(
    join(here, 'camera-vm'),
    [join(projectRoot, '.cache/camera-vm'), '700', process.execPath, join(here, 'guest.mjs')],
    { cwd: projectRoot },
  )
  const status = await vm.ended
  for (const line of jsonLines<Scene>(
    vm
      .stdout()
      .split('\n')
      .filter((text) => text.startsWith('{'))
      .join('\n'),
  ))
    scenes.set(line.scene, line)
  expect(status, `${vm.stdout()}\n${vm.stderr()}`).toBe(0)
}, 720_000)
afterAll(endAll)

it('gapcam cameras lists the device with its formats', () => {
  const [camera] = jsonLines<{
    uri: string
    usable: boolean
    driver: string
    formats: { format: string; sizes: string[] }[]
  }>(scene('list').stdout)
  expect(camera).toMatchObject({ uri: 'v4l2:///dev/video0', usable: true, driver: 'vivid' })
  expect(camera!.formats.map(({ format }) => format)).toEqual(expect.arrayContaining(['YUYV', 'NV12', 'RGB3', 'GREY']))
})

describe.each(['yuyv', 'nv12', 'rgb24'])('gapcam run in %s', (format) => {
  it('opens the camera in the format that was set, and classifies its frames natively', () => {
    const { status, stderr } = scene(format)
    expect(status, stderr).toBe(0)
    expect(stderr).toMatch(new RegExp(`^camera {3}cam0: vivid.*, 640 x 480 ${format}$`, 'm'))
    expect(stderr).toMatch(/^5 frames classified by native .* 0 unusable, 0 camera recoveries/m)
  })
})

it('three zones of one camera look at its frames, each by its own trigger', () => {
  const { status, stdout, stderr } = scene('zones')
  expect(status, stderr).toBe(0)
  const told = jsonLines<{ camera: string; label: string }>(stdout)
  for (const zone of ['gate', 'bin', 'spot'])
    expect(told.filter(({ camera }) => camera === `cam0/${zone}`).map(({ label }) => label)).toEqual(
      expect.arrayContaining([expect.stringMatching(/^class/)]),
    )
})

it('gapcam once waits for the exposure and lets each zone look at one frame', () => {
  const { status, stdout, stderr } = scene('once')
  expect(status, stderr).toBe(0)
  const [{ zones, faults }] = jsonLines<{ zones: { zone: string; label: string }[]; faults: unknown[] }>(stdout) as [
    { zones: { zone: string; label: string }[]; faults: unknown[] },
  ]
  expect([zones.map(({ zone }) => zone), faults]).toEqual([['gate', 'bin', 'spot'], []])
  for (const { label } of zones) expect(label).toMatch(/^class/)
  expect(stderr).toMatch(/^picture +\d+ ms$/m)
})

it('gapcam once --light holds a real GPIO line high while the picture is taken, and low afterwards', () => {
  expect(scene('lamp')).toMatchObject({ said: ['5=1', '5=0'] })
})

it('the watch of a real GPIO line hears each rise once, and no fall', () => {
  expect(scene('gpio')).toMatchObject({ rises: [1, 2, 3], faults: [] })
})

it('controls are listed and set while the camera streams; values out of range are refused', () => {
  const { before, set, refused, frames } = scene('controls') as Scene & {
    before: { name: string; group: string; kind: string; min: number; max: number; id: number }[]
    set: { status: number; controls: { name: string; value: number }[]; driver: string }
    refused: { status: number; error: { message: string } }[]
    frames: number
  }
  const brightness = before.find(({ name }) => name === 'Brightness')!
  expect(brightness).toMatchObject({ group: 'picture', kind: 'integer', min: 0 })
  expect(before.map(({ group }) => group)).toContain('gain')
  expect(set.status).toBe(200)
  expect(set.controls.find(({ name }) => name === 'Brightness')?.value).toBe(brightness.max - 1)
  expect(set.driver).toContain(`brightness: ${brightness.max - 1}`)
  expect(refused.map(({ status }) => status)).toEqual([400, 400])
  expect(refused[0]!.error.message).toMatch(/Brightness: \d+ is not from 0 to/)
  expect(refused[1]!.error.message).toMatch(/no control 12345/)
  expect(frames).toBeGreaterThan(0)
})

it('an unplugged camera is reported, and opened again when it is back', () => {
  const { status, stderr } = scene('disconnect')
  expect(status, stderr).toBe(130)
  expect(stderr).toMatch(/"code":"CAMERA_LOST".*trying again/)
  expect(stderr).toMatch(/the camera is back/)
  expect(stderr).toMatch(/[1-9]\d* camera recoveries/)
})

it("a busy camera gives status 3 and the other program's name and number", () => {
  expect(scene('busy').status).toBe(3)
  expect(scene('busy').stderr).toMatch(/camera \/dev\/video0: held by another process \(pid \d+, v4l2-ctl\)/)
  expect(scene('busy list').stdout).toMatch(/open in another process \(pid \d+, v4l2-ctl\)/)
})

it('a camera without permission gives status 3 and the group that has it', () => {
  expect(scene('no permission').status).toBe(3)
  expect(scene('no permission').stderr).toMatch(/belongs to group video/)
  expect(scene('no permission').stderr).toMatch(/usermod -aG video/)
  expect(scene('no permission list').stdout).toMatch(/no permission; the device belongs to group video/)
})

it('frames that are not released are taken back and counted, and the camera goes on', () => {
  const { warning, refusal, seqs, next } = scene('held') as Scene & { seqs: number[]; next: number }
  expect(warning).toMatch(/\d+ frames were not released in time and taken back/)
  expect(refusal).toMatch(/held too long and the camera took its buffer back/)
  expect(seqs).toEqual([...seqs].sort((a, b) => a - b))
  expect(next).toBeGreaterThan(seqs.at(-1)!)
})

it('for zones a camera is opened in the smallest mode of its proportions that serves them, and says so', () => {
  const wanted = { width: 1280, height: 720 }
  expect(scene('smallest')).toMatchObject({ width: 640, height: 360, fullSize: wanted })
})
