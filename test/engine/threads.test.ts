/** `--threads auto`: what the kernel's files say of a machine, and how many threads follow from it. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readProcessors } from '../../src/engine/processors.js'
import { autoThreads, resolveThreads } from '../../src/engine/threads.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-threads-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let machines = 0
/** A tree of files, by path; gives its root. */
function machine(files: Readonly<Record<string, string | number>>): string {
  const root = join(folder, String(machines++))
  mkdirSync(root)
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true })
    writeFileSync(join(root, path), `${text}\n`)
  }
  return root
}

const mask = (list: string): Record<string, string> => ({
  'proc/self/status': `Name:\tnode\nCpus_allowed:\tff\nCpus_allowed_list:\t${list}\nThreads:\t11`,
})
const speeds = (file: string, ...values: readonly number[]): Record<string, number> =>
  Object.fromEntries(values.map((value, cpu) => [`sys/devices/system/cpu/cpu${cpu}/${file}`, value]))

function threadsOf(files: Readonly<Record<string, string | number>>): number {
  return autoThreads(readProcessors(machine(files))!)
}

describe('threads of', () => {
  it.each([
    ['a Raspberry Pi 5: one of four is left for Node', mask('0-3'), 3],
    ['two cores: both', mask('0-1'), 2],
    ['three cores: all', mask('0-2'), 3],
    [
      'a Jetson Orin with twelve cores of one kind: eight at the most',
      { ...mask('0-11'), ...speeds('cpu_capacity', ...new Array<number>(12).fill(1024)) },
      8,
    ],
    [
      'an RK3588: its four big cores, as the small ones are room for Node',
      { ...mask('0-7'), ...speeds('cpu_capacity', 414, 414, 414, 414, 1024, 1024, 1024, 1024) },
      4,
    ],
    [
      'the same by frequency, where the kernel tells no capacity',
      {
        ...mask('0-7'),
        ...speeds('cpufreq/cpuinfo_max_freq', 1.8e6, 1.8e6, 1.8e6, 1.8e6, 2.4e6, 2.4e6, 2.35e6, 2.35e6),
      },
      4,
    ],
    [
      'one big core, three middle and four small ones: big and middle',
      { ...mask('0-7'), ...speeds('cpu_capacity', 250, 250, 250, 250, 800, 800, 800, 1024) },
      4,
    ],
    [
      'a process that may only use the small cores: these',
      { ...mask('0-3'), ...speeds('cpu_capacity', 414, 414, 414, 414, 1024, 1024, 1024, 1024) },
      3,
    ],
    [
      'cores of which the kernel tells only some speeds: all',
      { ...mask('0-3'), ...speeds('cpu_capacity', 414, 1024) },
      3,
    ],
    ['a mask with gaps', mask('1,3,5-6'), 3],
    [
      "a container with two and a half cores' worth of time",
      { ...mask('0-7'), 'proc/self/cgroup': '0::/', 'sys/fs/cgroup/cpu.max': '250000 100000' },
      2,
    ],
    ["half a core's worth", { ...mask('0-7'), 'proc/self/cgroup': '0::/', 'sys/fs/cgroup/cpu.max': '50000 100000' }, 1],
    ["four cores' worth", { ...mask('0-7'), 'proc/self/cgroup': '0::/', 'sys/fs/cgroup/cpu.max': '400000 100000' }, 3],
    [
      'a service whose group has no limit but whose slice has one',
      {
        ...mask('0-7'),
        'proc/self/cgroup': '0::/system.slice/gapcam.service',
        'sys/fs/cgroup/system.slice/gapcam.service/cpu.max': 'max 100000',
        'sys/fs/cgroup/system.slice/cpu.max': '200000 100000',
      },
      2,
    ],
    [
      'cgroup v1',
      {
        ...mask('0-7'),
        'proc/self/cgroup': '4:cpu,cpuacct:/docker/abc\n2:cpuset:/',
        'sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_quota_us': 300000,
        'sys/fs/cgroup/cpu,cpuacct/docker/abc/cpu.cfs_period_us': 100000,
      },
      3,
    ],
    [
      'cgroup v1 without a limit',
      {
        ...mask('0-1'),
        'proc/self/cgroup': '4:cpu,cpuacct:/',
        'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us': -1,
        'sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us': 100000,
      },
      2,
    ],
  ])('%s', (_, files, threads) => expect(threadsOf(files)).toBe(threads))
})

it("a system that does not tell its mask is left to Node's count", () => {
  expect(readProcessors(machine({}))).toBeNull()
  expect(readProcessors(machine(mask('nonsense')))).toBeNull()
})

it('a number is taken as it is, and auto is at least one and at most eight on this machine', () => {
  expect(resolveThreads(5)).toBe(5)
  expect(resolveThreads('auto')).toBeGreaterThanOrEqual(1)
  expect(resolveThreads()).toBeLessThanOrEqual(8)
})
