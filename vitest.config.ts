import { relative } from 'node:path'
import { defineConfig } from 'vitest/config'
import { BaseSequencer, type TestSpecification } from 'vitest/node'

/** The files that take more than half a minute, the longest first. */
const longest = [
  'test/camera-vm/v4l2.test.ts',
  'test/packaging/packages.test.ts',
  'test/native/emulated.test.ts',
  'test/start/start.test.ts',
  'test/server/teach-browser.test.ts',
  'test/packaging/reproduce.test.ts',
  'test/cli/cuda-restart.test.ts',
  'test/cli/cuda.test.ts',
  'test/cli/run.test.ts',
  'test/native/shipped.test.ts',
  'test/cli/mqtt.test.ts',
]

/** Begins the longest files first, so that none of them runs alone at the end. A new clone knows no durations. */
class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const place = ({ moduleId }: TestSpecification): number => {
      const found = longest.indexOf(relative(this.ctx.config.root, moduleId))
      return found < 0 ? longest.length : found
    }
    return (await super.sort(files)).toSorted((one, other) => place(one) - place(other))
  }
}

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    sequence: { sequencer: LongestFirst },
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // What another program does takes longer beside another test file.
    expect: { poll: { timeout: 30_000 } },
    // A desk's own GPU is not what the tests are about: NVIDIA's driver then shows no device.
    env: { CUDA_VISIBLE_DEVICES: '' },
  },
})
