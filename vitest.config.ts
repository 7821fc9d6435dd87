import { defineConfig } from 'vitest/config'

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    pool: 'forks',
    maxWorkers: 2,
    testTimeout: 60_000,
    hookTimeout: 60_000,
    // A desk's own GPU is not what the tests are about: NVIDIA's driver then shows no device.
    env: { CUDA_VISIBLE_DEVICES: '' },
  },
})
