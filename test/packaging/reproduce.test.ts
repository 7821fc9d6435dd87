/** Builds give the same bytes in any folder. The full form, scripts/build/reproduce.mjs, compares whole packages. */
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { cleanEnvironment, launch } from '../process.js'
import { projectRoot } from '../shared.js'

const { fetchZig } = (await import(join(projectRoot, 'scripts/fetch/zig.mjs'))) as { fetchZig: () => string | null }

it.skipIf(fetchZig() === null)(
  'an object file is the same from two folders (skipped where zig cannot be fetched from PyPI)',
  async () => {
    const options = ['--arch', 'arm64', '--object', 'native/image/grid.cc']
    const running = launch(process.execPath, [join(projectRoot, 'scripts/build/reproduce.mjs'), ...options], {
      env: cleanEnvironment(),
    })
    expect(await running.ended, running.stderr()).toBe(0)
    const { isSame, files } = JSON.parse(running.stdout()) as { isSame: boolean; files: Record<string, string[]> }
    expect([isSame, Object.keys(files)]).toEqual([true, ['native-image-grid.cc.o']])
  },
  300_000,
)
