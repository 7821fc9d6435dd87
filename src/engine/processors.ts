/**
 * What the process may compute on, read from the kernel's files: the processors of its affinity mask, how fast each is
 * (cpu_capacity on Arm, the highest frequency elsewhere), and the share of them that its cgroups allow.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

export interface Processors {
  /** Of the affinity mask. */
  readonly allowed: number
  /** Those of them that are about as fast as the fastest; on a big.LITTLE chip the big ones. */
  readonly fast: number
  /** Processors' worth of time that cgroups allow in each period; Infinity where they set no limit. */
  readonly quota: number
}

/** A slower processor has less than this share of the fastest one's capacity. Turbo bins and middle clusters are above it. */
const leastCapacity = 0.6
/** The same by frequency, which tells less: an A55 at 1.8 GHz is far slower than an A76 at 2.4. */
const leastFrequency = 0.8

/** Reads the files below `root` ('/' on a real system); null where the kernel does not tell the affinity mask. */
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

/** '0-3,6' as numbers. */
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

/** cgroup v2: `cpu.max` is "quota period" or "max period", in the process's group and in each above it. */
function quotaOfV2(root: string): number {
  const group = /^0::(\/.*)$/m.exec(textOf(root, 'proc/self/cgroup') ?? '')?.[1] ?? '/'
  const parts = group.split('/').filter((part) => part !== '' && part !== '..')
  // In a container the group's own path may lie outside of what is mounted; then its root is the group.
  const paths = parts.map((_, i) => parts.slice(0, i + 1).join('/'))
  return Math.min(...['', ...paths].map((path) => shareOf(textOf(root, join('sys/fs/cgroup', path, 'cpu.max')))))
}

function shareOf(text: string | null): number {
  const [quota = NaN, period = NaN] = (text ?? '').split(/\s+/).map(Number)
  return quota > 0 && period > 0 ? quota / period : Infinity
}

/** cgroup v1: the controller's folder is named after it, or after all that share it. */
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
