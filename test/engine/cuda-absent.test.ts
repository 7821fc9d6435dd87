/**
 * A machine without NVIDIA's driver: `--engine cuda` reports what is missing, and `auto` uses the CPU and gives the
 * reason.
 */
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { endAll, gapcam } from '../process.js'
import { projectRoot } from '../shared.js'
import { openModel } from '../../src/index.js'
import { existsSync } from 'node:fs'

const photo = join(projectRoot, 'models/photos/cat.jpg')
const hasDriver = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64'].some((folder) =>
  existsSync(join(folder, 'libcuda.so.1')),
)
afterEach(endAll)

it.skipIf(hasDriver)(
  '--engine cuda ends with one sentence and status 4 (skipped on machines with a driver)',
  async () => {
    const run = gapcam(['classify', '--engine', 'cuda', '--json', photo])
    expect(await run.ended).toBe(4)
    expect(run.stdout()).toBe('')
    expect(run.stderr()).toMatch(
      /^gapcam: cuda engine: there is no NVIDIA driver here \(libcuda\.so\.1: .*\)\n.*jetson\.md.*\n$/,
    )
  },
)

it.skipIf(hasDriver)(
  'auto uses the native engine and gives the reason against cuda (skipped on machines with a driver)',
  async () => {
    const model = await openModel(join(projectRoot, 'models/convnet-gap.onnx'), {
      inputSize: { height: 48, width: 48 },
    })
    expect(model.describe()).toMatchObject({
      engine: 'native',
      reason: 'covers the whole model',
      rejected: expect.arrayContaining([{ name: 'cuda', reason: expect.stringMatching(/no NVIDIA driver/) }]),
    })
    await model.close()
  },
)
