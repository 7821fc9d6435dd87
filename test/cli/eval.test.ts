/** `gapcam eval`: figures, plots, and folders and pictures that cannot be used. */
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, afterEach, expect, it } from 'vitest'
import { endAll, gapcam, jsonLines } from '../process.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-eval-'))
const photos = join(projectRoot, 'models/photos')
const known = JSON.parse(readFileSync(join(photos, 'photos.json'), 'utf8')) as {
  file: string
  label: string
  index: number
}[]
afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Every photograph in a folder named by the first of its label's names. */
function sorted(name: string): string {
  const root = join(folder, name)
  for (const { file, label } of known) {
    const into = join(root, label.split(',')[0]!)
    mkdirSync(into, { recursive: true })
    copyFileSync(join(photos, file), join(into, file))
  }
  return root
}

async function run(
  ...args: string[]
): Promise<{ status: unknown; result: Record<string, unknown> | undefined; stderr: string }> {
  const running = gapcam(['eval', '--json', ...args])
  const status = await running.ended
  return { status, result: jsonLines(running.stdout())[0], stderr: running.stderr() }
}

it('all eight photographs get their labels, and the plots are drawn', async () => {
  const plots = join(folder, 'plots')
  const { status, result, stderr } = await run(sorted('good'), '--plots', plots, '--precision', '0.9')
  expect(status, stderr).toBe(0)
  expect(result).toMatchObject({
    pictures: 8,
    top1: 1,
    top5: 1,
    balanced: 1,
    broken: [],
    unknown: [],
    threshold: { precision: 1, coverage: 1 },
  })
  expect((result!['confusion'] as unknown[]).length).toBe(new Set(known.map(({ label }) => label)).size)
  for (const name of ['confusion', 'calibration', 'precision']) {
    const { data, info } = await sharp(join(plots, `${name}.png`))
      .removeAlpha()
      .raw()
      .toBuffer({ resolveWithObject: true })
    expect(info.width).toBeGreaterThan(300)
    expect(new Set(data).size, `${name} is not blank`).toBeGreaterThan(20)
  }
})

it('unusable pictures and folders are named and counted, and the others are evaluated', async () => {
  const root = sorted('mixed')
  writeFileSync(join(root, 'chickadee', 'broken.jpg'), 'no picture')
  copyFileSync(join(photos, 'bird.jpg'), join(root, 'macaw', 'wrong.jpg'))
  mkdirSync(join(root, 'unicorn'))
  copyFileSync(join(photos, 'cat.jpg'), join(root, 'unicorn', 'cat.jpg'))
  mkdirSync(join(root, 'tabby'))
  const { status, result, stderr } = await run(root)
  expect(status, stderr).toBe(3)
  expect(result).toMatchObject({
    pictures: 9,
    top1: 8 / 9,
    broken: [join(root, 'chickadee', 'broken.jpg')],
    unknown: [{ folder: 'unicorn', pictures: 1 }],
    empty: ['tabby'],
  })
  expect(result!['confusion']).toContainEqual({ truth: 'macaw', predicted: 'chickadee', count: 1 })
  for (const part of [
    'broken.jpg',
    'folder unicorn: "unicorn" is not a label of the model; its picture is skipped',
    'folder tabby: it contains no pictures',
  ])
    expect(stderr).toContain(part)
})

it('a folder or picture whose name is not valid UTF-8 is skipped with that reason', async () => {
  const root = sorted('odd')
  const bytes = (path: string): Buffer => Buffer.concat([Buffer.from(path), Buffer.from([0xff])])
  mkdirSync(bytes(join(root, 'macaw')))
  writeFileSync(Buffer.concat([bytes(join(root, 'macaw/x')), Buffer.from('.jpg')]), 'x')
  const { status, result, stderr } = await run(root)
  expect(status, stderr).toBe(3)
  expect(result).toMatchObject({ pictures: 8, unknown: [{ folder: 'macaw\ufffd', pictures: null }] })
  expect(stderr).toMatch(/x\ufffd\.jpg: .*not valid UTF-8; rename it/)
  expect(stderr).toMatch(/folder macaw\ufffd: .*not valid UTF-8; rename it; the folder is skipped/)
})

it('a folder with nothing to evaluate is refused in one sentence', async () => {
  const [none, empty, strangers] = [join(folder, 'none'), join(folder, 'empty'), join(folder, 'strangers')]
  mkdirSync(join(empty, 'macaw'), { recursive: true })
  mkdirSync(join(strangers, 'unicorn'), { recursive: true })
  for (const [root, status, sentence] of [
    [none, 3, /none: it does not exist/],
    [photos, 3, /it contains no folders/],
    [empty, 3, /none of the pictures could be used/],
    [strangers, 2, /no folder is named by a label/],
  ] as const) {
    const { status: ended, stderr } = await run(root)
    expect([ended, stderr], root).toEqual([status, expect.stringMatching(sentence)])
  }
  expect((await run('--precision', '2', photos)).status).toBe(2)
})
