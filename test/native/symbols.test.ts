/** The symbols of the compiled addon: no target defines code that the linker may share, and no new library is needed. */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { projectRoot } from '../shared.js'

const output = (command: string, args: readonly string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 26 })

/** The symbols that an object file defines for others, with their kind (T code, W and V weak, D and R data). */
function shared(object: string): string[] {
  return output('nm', ['--defined-only', '-C', object])
    .split('\n')
    .filter((line) => /^[0-9a-f]+ [TWVDRBu] /.test(line))
    .map((line) => line.replace(/^[0-9a-f]+ /, ''))
}

describe('a target defines one entry point and no weak symbol that the linker may share', () => {
  const folder = join(projectRoot, `build-${process.arch}/CMakeFiles/gapcam_core.dir/native/targets`)
  const objects = readdirSync(folder).filter((name) => name.endsWith('.o') && name !== 'dispatch.cc.o')

  it.each(objects)('%s', (name) => {
    const names = shared(join(folder, name))
    expect(
      names.filter((symbol) => !/^[TDR] gapcam::k?\w+Target/.test(symbol) && !/^V (typeinfo|vtable)/.test(symbol)),
    ).toEqual([])
    // The vtables and type information of classes inside the target are local as well.
    expect(names.filter((symbol) => /anonymous namespace/.test(symbol))).toEqual([])
  })
})

describe('the addon', () => {
  const addons = ['linux-x64', 'linux-arm64']
    .map((name) => join(projectRoot, `prebuilds/${name}/gapcam.node`))
    .filter((file) => existsSync(file))

  it.each(addons)('needs only libraries of the base system', (file) => {
    const needed = [...output('readelf', ['-d', file]).matchAll(/NEEDED.*\[(.*)\]/g)].map(([, name]) => name!)
    expect(
      needed.filter(
        (name) => !/^(libc|libm|libpthread|libdl|librt|libgcc_s|libstdc\+\+|ld-linux-(x86-64|aarch64))\.so/.test(name),
      ),
    ).toEqual([])
  })
})
