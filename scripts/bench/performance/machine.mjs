// Describes the machine of a measurement in a few words, without its name.
import { readFileSync } from 'node:fs'
import { arch, availableParallelism, cpus, release, totalmem } from 'node:os'

/** Vector extensions that runtimes choose kernels by, as /proc/cpuinfo calls them. */
const telling = /^(avx2|avx512f|avx512_vnni|avx512_bf16|amx_tile|asimd|asimddp|asimdhp|i8mm|bf16|sve)$/

export function machine() {
  const info = readFileSync('/proc/cpuinfo', 'utf8')
  const flags = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(info)?.[1].split(' ') ?? []
  const family = ['cpu family', 'model']
    .map((key) => new RegExp(`^${key}\\s*:\\s*(\\d+)$`, 'm').exec(info)?.[1])
    .filter(Boolean)
  return {
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
    family: family.join('/'),
    cores: availableParallelism(),
    arch: arch(),
    extensions: flags.filter((flag) => telling.test(flag)),
    memoryGb: Math.round(totalmem() / 2 ** 30),
    kernel: release().split('-')[0],
    node: process.versions.node,
  }
}
