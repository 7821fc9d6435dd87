/** The test driver (native/cuda/fake) for child processes. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cleanEnvironment } from './process.js'
import { projectRoot } from './shared.js'

export const generations = [72, 87, 89, 90, 110] as const

const fakeCudaFolder = join(projectRoot, `build-${process.arch}/fake-cuda`)

export function buildFakeCuda(): void {
  const { status, stderr } = spawnSync(process.execPath, [join(projectRoot, 'scripts/cuda/fake.mjs')], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(stderr)
}

/** Fetches NVIDIA's compiler from PyPI. Returns the environment in which a program finds it with its headers. */
export async function fetchNvrtc(): Promise<NodeJS.ProcessEnv> {
  const { compilers, fetchCompiler } = (await import(join(projectRoot, 'scripts/cuda/build-cubins.mjs'))) as {
    compilers: object[]
    fetchCompiler: (compiler: object) => string
  }
  const folder = fetchCompiler(compilers[0]!)
  return {
    LD_LIBRARY_PATH: `${fakeCudaFolder}:${join(folder, 'nvidia/cuda_nvrtc/lib')}`,
    CUDA_HOME: join(folder, 'nvidia/cuda_runtime'),
  }
}

/** The environment of a child process with the test driver. For the settings see native/cuda/fake/settings.cc. */
export function fakeCuda(settings: string, more: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  return {
    ...cleanEnvironment(),
    LD_LIBRARY_PATH: fakeCudaFolder,
    FAKE_CUDA: settings,
    ...more,
  }
}

export interface DriverReport {
  readonly calls: number
  readonly injected: number
  readonly launches: number
  readonly graphLaunches: number
  readonly lost: number
  readonly leaks: Readonly<Record<string, number>>
  readonly violations: readonly string[]
}

/** The driver's report (setting report=FILE), after its process has ended. */
export function readReport(file: string): DriverReport {
  return JSON.parse(readFileSync(file, 'utf8')) as DriverReport
}
