/** Zones and keys as people write them, from what was read: for what commands change, and for `gapcam config show` and `export`. */
import type { Config } from './schema.js'
import type { ZoneConfig, ZoneInput } from './zones.js'

/** The input that `zone` reads as this very zone. */
export function writtenZone({ trigger, dwell, video, ...zone }: ZoneConfig): ZoneInput {
  return {
    ...(zone as Omit<ZoneInput, 'trigger' | 'dwell' | 'video'>),
    ...(trigger === undefined ? {} : { trigger: writtenTrigger(trigger) }),
    ...(video === undefined ? {} : { video: writtenVideo(video) }),
    ...(dwell === undefined ? {} : { dwell: mapped(dwell, writtenDuration) }),
  }
}

/** The input that `video` reads as these very clips. */
export function writtenVideo({ frames, everyMs, pool }: NonNullable<ZoneConfig['video']>): ZoneInput['video'] {
  return {
    ...(frames === undefined ? {} : { frames }),
    ...(everyMs === undefined ? {} : { every: writtenDuration(everyMs) }),
    ...(pool === undefined ? {} : { pool }),
  }
}

/** The keys of the file that read as this very configuration, cameras apart. */
export function writtenKeys({ inputSize, models, video, ...rest }: Config): Readonly<Record<string, unknown>> {
  return {
    ...rest,
    inputSize: inputSize && writtenSize(inputSize),
    models: writtenModels(models),
    video: video && writtenVideo(video),
  }
}

function writtenSize({ height, width }: NonNullable<Config['inputSize']>): number | string {
  return height === width ? height : `${height}x${width}`
}

/** Models by name and what is about bundles lie in one table. */
function writtenModels({ named, confirm, ...bundles }: Config['models']): Record<string, unknown> {
  const given = Object.entries(bundles).filter(([, value]) => !(Array.isArray(value) && value.length === 0))
  return {
    ...named,
    ...Object.fromEntries(given),
    ...(confirm === undefined ? {} : { confirm: { ...confirm, after: writtenDuration(confirm.after) } }),
  }
}

function writtenTrigger(trigger: NonNullable<ZoneConfig['trigger']>): NonNullable<ZoneInput['trigger']> {
  switch (trigger.kind) {
    case 'motion':
      return { motion: { maxIdle: writtenDuration(trigger.maxIdleMs) } }
    case 'every':
      return { every: writtenDuration(trigger.everyMs) }
    case 'cron':
      return { cron: trigger.line }
    case 'gpio':
      return { gpio: `${trigger.chip}/${trigger.line}` }
    default:
      return trigger.kind
  }
}

/** A time in the greatest unit in which it is whole. */
function writtenDuration(ms: number): string {
  const units = [
    ['h', 3_600_000],
    ['m', 60_000],
    ['s', 1000],
  ] as const
  const fitting = ms === 0 ? undefined : units.find(([, size]) => ms % size === 0)
  return fitting ? `${ms / fitting[1]}${fitting[0]}` : `${ms}ms`
}

function mapped<A, B>(values: Readonly<Record<string, A>>, change: (value: A) => B): Record<string, B> {
  return Object.fromEntries(Object.entries(values).map(([key, value]) => [key, change(value)]))
}
