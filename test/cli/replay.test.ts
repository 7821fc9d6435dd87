/** `gapcam record` and `gapcam replay`: bit for bit on the same target, within a tolerance on others, up to the cut. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, it } from 'vitest'
import { endAll, gapcam, jsonLines } from '../process.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-replay-'))
const photos = join(projectRoot, 'models/photos')
afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function run(
  args: string[],
  env: NodeJS.ProcessEnv = {},
): Promise<{ status: unknown; stdout: string; stderr: string }> {
  const running = gapcam(args, { env })
  const status = await running.ended
  return { status, stdout: running.stdout(), stderr: running.stderr() }
}

const file = join(folder, 'photos.gcrec')

it('a recording of photographs is reproduced bit for bit, and on another target within the tolerance', async () => {
  const recorded = await run(['record', photos, '-o', file, '--frames', '12', '--loop'])
  expect([recorded.status, recorded.stderr], recorded.stderr).toEqual([
    0,
    expect.stringMatching(/12 frames recorded to/),
  ])
  const same = await run(['replay', '--json', file])
  expect(same.status, same.stderr).toBe(0)
  expect(jsonLines(same.stdout)).toMatchObject([
    { frames: 12, demanded: 'bits', sameBits: 12, worst: 0, first: null, cut: null },
  ])
  const other = await run(['replay', '--json', file], { GAPCAM_TARGET: 'scalar' })
  expect(other.status, other.stderr).toBe(0)
  expect(jsonLines(other.stdout)).toMatchObject([
    { demanded: 'tolerance', because: [expect.stringMatching(/^target .* then, scalar now$/)], first: null },
  ])
})

it('a truncated recording is replayed up to the cut; another file is refused', async () => {
  const bytes = readFileSync(file)
  const cut = join(folder, 'cut.gcrec')
  writeFileSync(cut, bytes.subarray(0, Math.round(bytes.length * 0.7)))
  const replayed = await run(['replay', '--json', cut])
  expect(replayed.status, replayed.stderr).toBe(0)
  expect(jsonLines(replayed.stdout)).toMatchObject([
    { first: null, cut: expect.stringMatching(/^byte \d+ of \d+: the recording ends within a record$/) },
  ])
  writeFileSync(cut, bytes.subarray(0, 2000))
  const none = await run(['replay', cut])
  expect([none.status, none.stderr]).toEqual([
    3,
    expect.stringMatching(
      /cut\.gcrec: it holds no whole frame \(byte \d+ of 2000: the recording ends within a record\)/,
    ),
  ])
  const picture = await run(['replay', join(photos, 'bird.jpg')])
  expect([picture.status, picture.stderr]).toEqual([
    3,
    expect.stringMatching(/bird\.jpg: it does not begin like a recording/),
  ])
})

it('another model and a full disk are refused', async () => {
  const other = await run(['replay', '--model', join(projectRoot, 'models/convnet-gap.onnx'), file])
  expect([other.status, other.stderr]).toEqual([
    3,
    expect.stringMatching(/it was made with model efficientnet-lite0 .*, not with .*convnet-gap\.onnx/),
  ])
  const full = await run(['record', 'test://', '-o', '/dev/full', '--frames', '5'])
  expect([full.status, full.stderr]).toEqual([3, expect.stringMatching(/recording \/dev\/full: the disk is full/)])
})
