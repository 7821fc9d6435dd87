/** The field scripts, in their bounded form: a burn-in of seconds, a report of this machine without its secrets. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { hostname, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, expect, it } from 'vitest'
import { cleanEnvironment, endAll, jsonLines, launch } from '../process.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-field-'))
afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const script = (name: string, ...args: string[]): ReturnType<typeof launch> =>
  launch(process.execPath, [join(projectRoot, `scripts/${name}.mjs`), ...args], {
    cwd: folder,
    env: { ...cleanEnvironment(), GAPCAM_STATE_DIR: folder },
  })
const small = ['--model', join(projectRoot, 'models/convnet-gap.onnx'), '--threads', '1']

it.each(['faults/soak', 'board/report', 'bench/visitors', 'docs/page-screenshots'])('%s has --help', async (name) => {
  const run = script(name, '--help')
  expect(await run.ended).toBe(0)
  expect(run.stdout()).toMatch(new RegExp(`node scripts/${name}\\.mjs`))
})

it('soak looks at a run, and says at the end whether anything crept', async () => {
  const run = script(
    'faults/soak',
    '--minutes',
    '0.1',
    '--every',
    '1',
    '--growth',
    '500',
    '--json',
    '--',
    'test://',
    '--broker',
    'none',
    ...small,
  )
  // A loaded machine may find its medians creeping; what must be there are looks and a verdict.
  expect([0, 1], run.stderr()).toContain(await run.ended)
  const lines = jsonLines<{ fps?: number; rssMb?: number; looks?: number; findings?: string[] }>(run.stdout())
  expect(lines.at(-1)).toMatchObject({ looks: lines.length - 1, findings: expect.any(Array) })
  expect(lines.length).toBeGreaterThan(2)
  expect(lines[0]).toMatchObject({ fps: expect.any(Number), rssMb: expect.any(Number) })
})

it("soak ends with gapcam's own status where that ends by itself", async () => {
  const run = script('faults/soak', '--minutes', '1', '--', 'v4l2:///dev/video99', '--broker', 'none', ...small)
  expect(await run.ended).toBe(3)
  expect(await script('faults/soak', '--minutes', 'long').ended).toBe(2)
})

it("board/report makes one file, with the doctor's findings and without passwords or the host's name", async () => {
  const out = join(folder, 'report.md')
  const run = script(
    'board/report',
    '--out',
    out,
    '--',
    join(projectRoot, 'models/photos/bird.jpg'),
    ...small,
    '--broker',
    'mqtt://someone:swordfish@127.0.0.1:1',
    '--set',
    'page.token=open-sesame-open-sesame',
  )
  expect(await run.ended, run.stderr()).toBe(0)
  const text = readFileSync(out, 'utf8')
  for (const heading of ['board', 'processor', 'memory', 'gapcam', 'configuration', 'doctor', 'cameras', 'kernel log'])
    expect(text).toContain(`## ${heading}\n`)
  expect(text).toMatch(/nothing listens on 127\.0\.0\.1:1/)
  expect(text).not.toMatch(/swordfish|open-sesame/)
  expect(text.includes(hostname())).toBe(false)
})
