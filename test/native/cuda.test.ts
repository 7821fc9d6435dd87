/**
 * The CUDA kernels without a GPU: the shipped cubins and their figures, and whole networks through the emulated
 * kernels. The tests of single kernels are in native/test/cuda, which `npm test` runs too.
 */
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { launch, jsonLines } from '../process.js'
import { projectRoot, sharedFolder } from '../shared.js'

interface Figures {
  registers: number
  spillBytes: number
  stackBytes: number
  sharedBytes: number
}
interface Manifest {
  source: string
  cubins: { sm: number; file: string; sha256: string; bytes: number; compiler: string }[]
  kernels: Record<string, Record<string, Figures>>
}
interface KernelRow {
  name: string
  threads: number
  firstSm: number
  lastSm: number
}
const { cubinFolder, generations, kernelRows, sourceDigest } = (await import(
  join(projectRoot, 'scripts/cuda/kernels.mjs')
)) as { cubinFolder: string; generations: number[]; kernelRows: () => KernelRow[]; sourceDigest: () => string }
const manifest = JSON.parse(readFileSync(join(cubinFolder, 'manifest.json'), 'utf8')) as Manifest

/** The kernels of a cubin with their registers, read from the cubin itself, which is a 64-bit ELF file. */
function kernelsOf(elf: Buffer): Map<string, number> {
  const [at, entry, count, namesIndex] = [
    Number(elf.readBigUInt64LE(40)),
    elf.readUInt16LE(58),
    elf.readUInt16LE(60),
    elf.readUInt16LE(62),
  ]
  const text = (offset: number): string => elf.toString('latin1', offset, elf.indexOf(0, offset))
  const header = (i: number): Buffer => elf.subarray(at + i * entry, at + (i + 1) * entry)
  const place = (i: number): number => Number(header(i).readBigUInt64LE(24))
  const sections = new Map(
    Array.from({ length: count }, (_, i) => [text(place(namesIndex) + header(i).readUInt32LE(0)), i]),
  )
  const symbolName = (i: number): string =>
    text(place(sections.get('.strtab')!) + elf.readUInt32LE(place(sections.get('.symtab')!) + i * 24))
  // .nv.info: format and attribute, a byte each; format 4 has a size and as many bytes. 0x2f: [symbol, registers].
  const registers = new Map<string, number>()
  const info = sections.get('.nv.info')!
  const end = place(info) + Number(header(info).readBigUInt64LE(32))
  for (let i = place(info); i < end; i += elf[i] === 4 ? 4 + elf.readUInt16LE(i + 2) : 4) {
    if (elf[i] === 4 && elf[i + 1] === 0x2f) registers.set(symbolName(elf.readUInt32LE(i + 4)), elf.readUInt32LE(i + 8))
  }
  return new Map(
    [...registers].filter(([name]) => sections.has(`.text.${name}`) && kernelRows().some((row) => row.name === name)),
  )
}

describe('the cubins', () => {
  it('are compiled from the current sources (otherwise run node scripts/cuda/build-cubins.mjs)', () => {
    expect(manifest.source).toBe(sourceDigest())
    expect(manifest.cubins.map(({ sm }) => sm)).toEqual(generations)
    for (const { file, sha256 } of manifest.cubins)
      expect(
        createHash('sha256')
          .update(readFileSync(join(cubinFolder, file)))
          .digest('hex'),
        file,
      ).toBe(sha256)
  })

  it.each(manifest.cubins)(
    '$file has the kernels of its generation, with the figures of the manifest',
    ({ sm, file }) => {
      const elf = readFileSync(join(cubinFolder, file))
      expect(elf.subarray(0, 4).toString('latin1')).toBe('\x7fELF')
      const found = kernelsOf(elf)
      const wanted = kernelRows()
        .filter(({ firstSm, lastSm }) => sm >= firstSm && sm <= lastSm)
        .map(({ name }) => name)
        .sort()
      expect([...found.keys()].sort()).toEqual(wanted)
      expect(
        Object.keys(manifest.kernels)
          .filter((name) => sm in manifest.kernels[name]!)
          .sort(),
      ).toEqual(wanted)
      for (const name of wanted) expect(found.get(name), name).toBe(manifest.kernels[name]![sm]!.registers)
    },
  )

  it('spill no register, and fit into the shared memory of every generation', () => {
    for (const [name, each] of Object.entries(manifest.kernels)) {
      for (const [sm, { spillBytes, sharedBytes }] of Object.entries(each)) {
        expect(spillBytes, `${name} on sm_${sm}`).toBe(0)
        expect(sharedBytes, `${name} on sm_${sm}`).toBeLessThanOrEqual(48 * 1024)
      }
    }
  })

  it('have the figures of docs/cuda-kernels.md', () => {
    expect(
      spawnSync(process.execPath, [join(projectRoot, 'scripts/cuda/table.mjs'), '--check'], {
        stdio: ['ignore', 'ignore', 2],
      }).status,
    ).toBe(0)
  })
})

describe('whole networks through the emulated kernels of every generation', () => {
  interface Row {
    model: string
    generation: string
    share: number
    otherLabels: number
    passed: boolean
  }
  const shared = sharedFolder()

  async function check(models: readonly string[]): Promise<void> {
    const run = launch(process.execPath, [join(projectRoot, 'scripts/cuda/parity.mjs'), '--json', ...models])
    const status = await run.ended
    const rows = jsonLines<Row>(run.stdout())
    expect(rows.filter(({ passed, otherLabels }) => !passed || otherLabels > 0)).toEqual([])
    expect(rows, run.stderr()).toHaveLength(models.length * 6)
    expect(status, run.stderr()).toBe(0)
  }

  // The inputs are smaller than in training: the labels need not be right, only the same.
  it(
    "the digits ConvNet and EfficientNet-Lite0 have the scalar executor's labels",
    () =>
      check([
        `${projectRoot}models/convnet-gap.onnx@32`,
        `${projectRoot}models/convnet-gap.onnx@45`,
        `${projectRoot}models/convnet-flatten.onnx`,
        `${projectRoot}models/efficientnet-lite0.onnx@64`,
      ]),
    900_000,
  )

  it.skipIf(shared === null)(
    'MobileNetV2 and the small ConvNet have them too (skipped without the shared folder)',
    () => check([`${shared}/models/mobilenet-v2.onnx@64`, `${shared}/zoo/convnet_gap.onnx`]),
    900_000,
  )
})
