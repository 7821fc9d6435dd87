/** What the compiled addon shares and needs: no code of one target under a name that another could take, no new glibc. */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { projectRoot } from '../shared.js'

const output = (command: string, args: readonly string[]): string =>
  execFileSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 26 })

/** Symbols that an object file defines for others, by kind (T code, W and V weak, D and R data). */
function shared(object: string): string[] {
  return output('nm', ['--defined-only', '-C', object])
    .split('\n')
    .filter((line) => /^[0-9a-f]+ [TWVDRBu] /.test(line))
    .map((line) => line.replace(/^[0-9a-f]+ /, ''))
}

describe('every target keeps its code to itself: one entry point, nothing weak that the linker may share', () => {
  const folder = join(projectRoot, `build-${process.arch}/CMakeFiles/gapcam_core.dir/native/targets`)
  const objects = readdirSync(folder).filter((name) => name.endsWith('.o') && name !== 'dispatch.cc.o')

  it.each(objects)('%s', (name) => {
    const names = shared(join(folder, name))
    expect(
      names.filter((symbol) => !/^[TDR] gapcam::k?\w+Target/.test(symbol) && !/^V (typeinfo|vtable)/.test(symbol)),
    ).toEqual([])
    // Vtables and type information of classes inside the target are local too.
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
