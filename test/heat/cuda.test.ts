/** Heat maps of the CUDA engine (test driver, emulated kernels): the same map and box as on the CPU. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import type { ClassifierOptions } from '../../src/classifier.js'
import { buildFakeCuda, fakeCuda } from '../fake-cuda.js'
import { cli, endAll, jsonLines, launch } from '../process.js'
import { projectRoot } from '../shared.js'

interface Box {
  readonly x: number
  readonly y: number
  readonly width: number
  readonly height: number
}
interface Heat {
  readonly engine: string
  readonly target: string
  readonly width: number
  readonly height: number
  readonly values: readonly number[]
  readonly focus: Box
}

const photos = ['cat', 'bird'].map((name) => join(projectRoot, `models/photos/${name}.jpg`))
const tabby = 281
const model = join(projectRoot, 'models/efficientnet-lite0.onnx')
const folder = mkdtempSync(join(tmpdir(), 'gapcam-heat-cuda-'))

beforeAll(buildFakeCuda, 600_000)
afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function heatsOf(settings: string, options: Partial<ClassifierOptions>, files = photos): Promise<Heat[]> {
  const given = {
    options: { model, threads: 1, inputSize: { height: 96, width: 128 }, ...options },
    files,
    classIndex: tabby,
  }
  const child = launch(process.execPath, [join(projectRoot, 'test/heat/heat-run.mjs'), JSON.stringify(given)], {
    env: fakeCuda(settings),
  })
  expect(await child.ended, child.stderr()).toBe(0)
  return jsonLines<Heat>(child.stdout())
}

/** The largest difference, as a share of the range of `right`. */
function difference({ values }: Heat, right: Heat): number {
  expect(values).toHaveLength(right.values.length)
  return (
    Math.max(...values.map((value, i) => Math.abs(value - right.values[i]!))) /
    (Math.max(...right.values) - Math.min(...right.values))
  )
}

const native = (files = photos): Promise<Heat[]> => heatsOf('devices=0', { engine: 'native' }, files)

it.each([
  ['sm=72', 'fp16', 2e-2],
  ['sm=87', 'fp16', 2e-2],
  ['sm=87', 'fp32', 1e-4],
] as const)(
  'the map and the box equal those of the native engine: %s %s',
  async (settings, cudaPrecision, tolerance) => {
    const [right, computed] = await Promise.all([native(), heatsOf(settings, { engine: 'cuda', cudaPrecision })])
    expect(computed.map(({ target, width, height }) => [target, width, height])).toEqual(
      photos.map(() => [`sm_${settings.slice(3)}-${cudaPrecision}`, 4, 3]),
    )
    for (const [i, heat] of computed.entries()) {
      expect(difference(heat, right[i]!)).toBeLessThan(tolerance)
      for (const side of ['x', 'y', 'width', 'height'] as const)
        expect(heat.focus[side]).toBeCloseTo(right[i]!.focus[side], 1)
    }
    // Different pictures have different maps.
    expect(difference(computed[0]!, computed[1]!)).toBeGreaterThan(0.2)
  },
  240_000,
)

it('the frame during which the GPU is lost gets the map of the CPU', async () => {
  const files = [photos[0]!, photos[1]!, photos[0]!]
  const [right, computed] = await Promise.all([
    native(files),
    heatsOf('fail=cuStreamSynchronize@4:719', { engine: 'cuda' }, files),
  ])
  expect(computed.map(({ engine }) => engine)).toEqual(['cuda', 'native', 'native'])
  expect(difference(computed[0]!, right[0]!)).toBeGreaterThan(0)
  for (const i of [1, 2]) expect([computed[i]!.values, computed[i]!.focus]).toEqual([right[i]!.values, right[i]!.focus])
}, 240_000)

it('classify --heat draws the picture of the native engine, within a few levels', async () => {
  const drawn = await Promise.all(
    [
      ['devices=0', 'native'],
      ['', 'cuda'],
    ].map(async ([settings, engine]) => {
      const out = join(folder, `${engine}.png`)
      const run = launch(
        process.execPath,
        [
          cli,
          'classify',
          '--json',
          '--engine',
          engine!,
          '--input-size',
          '96x128',
          '--heat',
          out,
          '--heat-class',
          'tabby',
          photos[0]!,
        ],
        { env: fakeCuda(settings!) },
      )
      expect(await run.ended, run.stderr()).toBe(0)
      const [result] = jsonLines<{ engine: string; heat: string; focus: object }>(run.stdout())
      expect(result).toMatchObject({ engine, heat: out })
      return { focus: result!.focus, pixels: await sharp(out).removeAlpha().raw().toBuffer() }
    }),
  )
  const [right, computed] = drawn as [(typeof drawn)[0], (typeof drawn)[0]]
  expect(computed.pixels.length).toBe(right.pixels.length)
  let most = 0
  for (let i = 0; i < right.pixels.length; i++) most = Math.max(most, Math.abs(right.pixels[i]! - computed.pixels[i]!))
  expect(most).toBeGreaterThan(0)
  expect(most).toBeLessThan(16)
  for (const side of ['x', 'y', 'w', 'h'])
    expect((computed.focus as Record<string, number>)[side]).toBeCloseTo(
      (right.focus as Record<string, number>)[side]!,
      1,
    )
}, 240_000)
