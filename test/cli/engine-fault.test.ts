/** A model that can no longer be run ends `gapcam run` with status 4: it is not told as a camera that was lost. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll, afterEach, expect, it } from 'vitest'
import { endAll, gapcam } from '../process.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-engine-fault-'))
afterEach(endAll)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** onnxruntime as it is, but each session fails from its fifth run on. */
const failing = join(folder, 'failing.mjs')
const real = pathToFileURL(createRequire(import.meta.url).resolve('onnxruntime-node')).href
writeFileSync(
  failing,
  `import ort from ${JSON.stringify(real)}
let runs = 0
export const Tensor = ort.Tensor
export const InferenceSession = {
  async create(...args) {
    const session = await ort.InferenceSession.create(...args)
    return {
      outputNames: session.outputNames,
      run: (...given) => (++runs > 5 ? Promise.reject(new Error('out of memory')) : session.run(...given)),
      release: () => session.release(),
    }
  },
}
`,
)

it('an engine that fails while cameras run ends with status 4 and its own sentence', async () => {
  const run = gapcam(
    ['run', join(projectRoot, 'models/photos/bird.jpg'), '--loop', '--fps', '20', '--json', '--broker', 'none'].concat([
      '--engine',
      'onnxruntime',
      '--set',
      'page.enabled=false',
    ]),
    { env: { GAPCAM_ONNXRUNTIME: failing } },
  )
  expect(await run.ended, run.stderr()).toBe(4)
  expect(run.stderr()).toMatch(/out of memory/)
  expect(run.stderr()).not.toMatch(/trying again|CAMERA_LOST/)
  expect(run.stdout()).not.toMatch(/camera_lost/)
})
