/**
 * The processors that this process may use, read from the kernel's files: the affinity mask, the speed of each processor
 * (cpu_capacity on Arm, the highest frequency elsewhere), and the quota of its cgroups.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Processors {
  /** Processors in the affinity mask. */
  readonly allowed: number
  /** Processors of the mask that are about as fast as the fastest one: the big cores of a big.LITTLE chip. */
  readonly fast: number
  /** CPU time that the cgroups allow, in processors; Infinity without a limit. */
  readonly quota: number
}

/** A processor below this share of the highest capacity is slow. Turbo bins and middle clusters lie above it. */
const leastCapacity = 0.6
/** The same by frequency, which is a weaker sign: an A55 at 1.8 GHz is far slower than an A76 at 2.4 GHz. */
const leastFrequency = 0.8

/** Reads the files below `root` ('/' on a real system). Returns null if the kernel does not report the affinity mask. */
export function readProcessors(root = '/'): Processors | null {
  const mask = /^Cpus_allowed_list:\s*(\S+)$/m.exec(textOf(root, 'proc/self/status') ?? '')?.[1]
  const allowed = mask === undefined ? [] : numbersIn(mask)
  if (allowed.length === 0) return null
  return { allowed: allowed.length, fast: fastest(root, allowed), quota: Math.min(quotaOfV2(root), quotaOfV1(root)) }
}

function textOf(root: string, path: string): string | null {
  try {
    return readFileSync(join(root, path), 'utf8').trim()
  } catch {
    return null
  }
}

/** Parses a list such as '0-3,6'. */
function numbersIn(list: string): number[] {
  return list.split(',').flatMap((part) => {
    const [first = NaN, last = first] = part.split('-').map(Number)
    return Number.isInteger(first) && Number.isInteger(last) && last >= first && last < 4096
      ? Array.from({ length: last - first + 1 }, (_, i) => first + i)
      : []
  })
}

function fastest(root: string, allowed: readonly number[]): number {
  const read = (file: string): number[] =>
    allowed.map((cpu) => Number(textOf(root, `sys/devices/system/cpu/cpu${cpu}/${file}`) ?? NaN))
  const kinds = [
    { speeds: read('cpu_capacity'), least: leastCapacity },
    { speeds: read('cpufreq/cpuinfo_max_freq'), least: leastFrequency },
  ]
  const known = kinds.find(({ speeds }) => speeds.every((speed) => speed > 0))
  if (!known) return allowed.length
  const best = Math.max(...known.speeds)
  return known.speeds.filter((speed) => speed >= known.least * best).length
}

/** cgroup v2: `cpu.max` holds "quota period" or "max period"; the limits of all parent groups apply as well. */
function quotaOfV2(root: string): number {
  const group = /^0::(\/.*)$/m.exec(textOf(root, 'proc/self/cgroup') ?? '')?.[1] ?? '/'
  const parts = group.split('/').filter((part) => part !== '' && part !== '..')
  // In a container the group's path may lie outside the mounted tree; the mounted root is then the group itself.
  const paths = parts.map((_, i) => parts.slice(0, i + 1).join('/'))
  return Math.min(...['', ...paths].map((path) => shareOf(textOf(root, join('sys/fs/cgroup', path, 'cpu.max')))))
}

function shareOf(text: string | null): number {
  const [quota = NaN, period = NaN] = (text ?? '').split(/\s+/).map(Number)
  return quota > 0 && period > 0 ? quota / period : Infinity
}

/** cgroup v1: the folder is named after the controller, or after all controllers that share it. */
function quotaOfV1(root: string): number {
  const folder = namesIn(root, 'sys/fs/cgroup').find((name) => name.split(',').includes('cpu'))
  if (folder === undefined) return Infinity
  const group = /^\d+:[^:]*\bcpu\b[^:]*:(\/.*)$/m.exec(textOf(root, 'proc/self/cgroup') ?? '')?.[1] ?? '/'
  const paths = [join('sys/fs/cgroup', folder), join('sys/fs/cgroup', folder, group)]
  return Math.min(
    ...paths.map((path) =>
      shareOf(
        `${textOf(root, join(path, 'cpu.cfs_quota_us')) ?? ''} ${textOf(root, join(path, 'cpu.cfs_period_us')) ?? ''}`,
      ),
    ),
  )
}

function namesIn(root: string, path: string): string[] {
  try {
    return readdirSync(join(root, path))
  } catch {
    return []
  }
}
