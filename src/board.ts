/**
 * Readings of the board: SoC temperature, throttling, supply voltage, memory, free disk space. One reader serves the health
 * message, the metrics and doctor. A reading that the board does not have is absent, never null: a Home Assistant template
 * reports a missing value, but renders null as text. Nothing here blocks the event loop, and each source has a time limit.
 */
import { execFile } from 'node:child_process'
import { readdir, readFile, statfs } from 'node:fs/promises'
import { uptime } from 'node:os'
import { join } from 'node:path'

/** One set of readings, in the names of the health message. */
export interface BoardReadings {
  /** The hottest thermal zone of the SoC, °C. */
  readonly soc_c?: number
  /** Every thermal zone of the SoC by its kernel name, °C, where the SoC has several (Jetson). */
  readonly zones_c?: Readonly<Record<string, number>>
  /** The clock is reduced now, because of heat or a weak supply. */
  readonly throttled?: boolean
  readonly throttled_since_boot?: boolean
  /** The supply voltage is too low now. */
  readonly undervoltage?: boolean
  readonly undervoltage_since_boot?: boolean
  /** Memory that programs can still allocate without swapping. */
  readonly mem_available_mb?: number
  /** Free space for this user on the file system of the state directory. */
  readonly disk_free_mb?: number
  readonly system_uptime_s?: number
}

export interface BoardOptions {
  /** The folder above /sys, /proc and /dev; default '/'. Tests pass a tree of their own. */
  readonly root?: string
  /** The folder whose file system's free space is read; without it there is no `disk_free_mb`. */
  readonly stateDirectory?: string
  /** The Raspberry Pi firmware's program; default `vcgencmd` from the PATH. */
  readonly vcgencmd?: string
  /** A source that takes longer is left out; default 2,000. */
  readonly timeoutMs?: number
}

/** Reads a board; see `createBoardReader`. */
export interface BoardReader {
  /** Resolves within about `timeoutMs`, never rejects. */
  read(): Promise<BoardReadings>
  /** The name of the board, such as `Raspberry Pi 5 Model B Rev 1.0`; undefined where the kernel does not know it. */
  model(): Promise<string | undefined>
}

type Source = () => Promise<BoardReadings>

/**
 * Creates a reader. It compares counters with those of the previous reading, so a program uses one reader.
 *
 *     const board = createBoardReader({ stateDirectory: '/var/lib/gapcam' })
 *     const { soc_c, undervoltage } = await board.read()
 */
export function createBoardReader({
  root = '/',
  stateDirectory,
  vcgencmd = 'vcgencmd',
  timeoutMs = 2000,
}: BoardOptions = {}): BoardReader {
  const sysfs = createSysfs(root)
  const overcurrent = createOvercurrent(sysfs)
  // A later source overrides an earlier one, because it is more precise.
  const sources: Source[] = [
    () => coolingDevices(sysfs),
    () => firmwareHwmon(sysfs),
    overcurrent,
    () => firmware(sysfs, vcgencmd, timeoutMs),
    () => temperatures(sysfs),
    () => memory(sysfs),
    async () => ({ system_uptime_s: Math.round(uptime()) }),
    ...(stateDirectory === undefined ? [] : [() => disk(stateDirectory)]),
  ]
  // A sensor on a bus that hangs would block one of libuv's four threads at every reading. So a source that has not
  // answered is not asked again.
  const pending = new Set<Source>()

  function ask(source: Source): Promise<BoardReadings> {
    if (pending.has(source)) return Promise.resolve({})
    pending.add(source)
    return within(
      source()
        .catch(() => ({}))
        .finally(() => pending.delete(source)),
      timeoutMs,
    )
  }

  return {
    async read() {
      return Object.assign({}, ...(await Promise.all(sources.map(ask)))) as BoardReadings
    },
    async model() {
      // Boards with a device tree have the name there; PCs have it in DMI.
      const name = (await sysfs.text('proc/device-tree/model')) ?? (await sysfs.text('sys/class/dmi/id/product_name'))
      return name === undefined || name === '' ? undefined : name
    },
  }
}

async function within(reading: Promise<BoardReadings>, timeoutMs: number): Promise<BoardReadings> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<BoardReadings>((resolve) => {
    timer = setTimeout(() => resolve({}), timeoutMs).unref()
  })
  return Promise.race([reading, late]).finally(() => clearTimeout(timer))
}

interface Sysfs {
  readonly root: string
  /** The content of a file without NULs and surrounding white space; undefined where it cannot be read. */
  text(path: string): Promise<string | undefined>
  /** The integer in a file; undefined where it holds none. */
  number(path: string): Promise<number | undefined>
  /** Paths of the entries of folder `path` whose names match, sorted. */
  list(path: string, pattern: RegExp): Promise<readonly string[]>
}

function createSysfs(root: string): Sysfs {
  const text = async (path: string): Promise<string | undefined> => {
    try {
      return (await readFile(join(root, path), 'utf8')).replaceAll('\0', '').trim()
    } catch {
      return undefined
    }
  }
  return {
    root,
    text,
    async number(path) {
      const content = await text(path)
      return content === undefined || !/^-?\d+$/.test(content) ? undefined : Number(content)
    },
    async list(path, pattern) {
      const names = await readdir(join(root, path)).catch(() => [] as string[])
      return names
        .filter((name) => pattern.test(name))
        .sort()
        .map((name) => join(path, name))
    },
  }
}

/**
 * Thermal zones of the SoC: Pi `cpu-thermal`, Jetson `CPU-therm`, `gpu-thermal`, `soc0-thermal`, `tj-thermal`, PC
 * `x86_pkg_temp`. Zones of the board and the radio do not count, nor does Jetson's `PMIC-Die`, which always reads 100 °C.
 */
const socZone = /^(cpu|gpu|soc|tj|[bm]cpu|aux|ao|cv\d?|x86_pkg_temp)/i

/** Names of the processor's hwmon sensors, for kernels without a thermal zone for it, as on most PCs. */
const processorSensors = /^(coretemp|k10temp|zenpower|cpu_thermal)$/

async function temperatures(sysfs: Sysfs): Promise<BoardReadings> {
  const zones: Record<string, number> = {}
  for (const zone of await sysfs.list('sys/class/thermal', /^thermal_zone\d+$/)) {
    const name = await sysfs.text(`${zone}/type`)
    // For a part that is powered off, Jetson's kernel fails with EAGAIN or reads -256 °C.
    const degrees = name !== undefined && socZone.test(name) ? plausible(await sysfs.number(`${zone}/temp`)) : undefined
    if (degrees !== undefined) zones[name!] = degrees
  }
  if (Object.keys(zones).length === 0) {
    for (const chip of await sysfs.list('sys/class/hwmon', /^hwmon\d+$/)) {
      const name = await sysfs.text(`${chip}/name`)
      const degrees =
        name !== undefined && processorSensors.test(name)
          ? plausible(await sysfs.number(`${chip}/temp1_input`))
          : undefined
      if (degrees !== undefined) zones[name!] = degrees
    }
  }
  const values = Object.values(zones)
  if (values.length === 0) return {}
  return { soc_c: Math.max(...values), ...(values.length > 1 ? { zones_c: zones } : {}) }
}

/** Millidegrees to degrees with one decimal; undefined outside the range that silicon can have. */
function plausible(millidegrees: number | undefined): number | undefined {
  const degrees = millidegrees === undefined ? NaN : Math.round(millidegrees / 100) / 10
  return degrees > -60 && degrees < 160 ? degrees : undefined
}

/** Bits of get_throttled of the Raspberry Pi firmware: 0 undervoltage, 1 capped, 2 throttled, 3 soft limit; 16 to 19 the same since boot. */
const undervoltageBit = 0x1
const slowBits = 0xe
const sinceBoot = 16

async function firmware(sysfs: Sysfs, vcgencmd: string, timeoutMs: number): Promise<BoardReadings> {
  const bits = await throttledBits(sysfs, vcgencmd, timeoutMs)
  if (bits === undefined) return {}
  const past = bits >>> sinceBoot
  return {
    undervoltage: (bits & undervoltageBit) !== 0,
    throttled: (bits & slowBits) !== 0,
    undervoltage_since_boot: (past & undervoltageBit) !== 0,
    throttled_since_boot: (past & slowBits) !== 0,
  }
}

async function throttledBits(sysfs: Sysfs, vcgencmd: string, timeoutMs: number): Promise<number | undefined> {
  // Raspberry Pi's kernel has the bits in sysfs, below soc on a Pi 4 and soc@107c000000 on a Pi 5. Debian's kernel does not.
  for (const soc of await sysfs.list('sys/devices/platform', /^soc/)) {
    for (const device of [soc, ...(await sysfs.list(soc, /firmware$/))]) {
      const bits = await sysfs.text(`${device}/get_throttled`)
      if (bits !== undefined && /^(0x)?[0-9a-f]+$/i.test(bits)) return parseInt(bits, 16)
    }
  }
  // vcgencmd talks to the firmware through one of these devices. Without them it cannot work.
  if ((await sysfs.list('dev', /^(vcio|vchiq)$/)).length === 0) return undefined
  const output = await new Promise<string>((resolve) => {
    execFile(vcgencmd, ['get_throttled'], { timeout: timeoutMs }, (error, stdout) => resolve(error ? '' : stdout))
  })
  const [, hex] = /throttled=0x([0-9a-f]+)/i.exec(output) ?? []
  return hex === undefined ? undefined : parseInt(hex, 16)
}

/** Linux's driver for the Pi's supply (`rpi_volt`). The alarm is set if the voltage was too low within the last two seconds. */
async function firmwareHwmon(sysfs: Sysfs): Promise<BoardReadings> {
  for (const chip of await sysfs.list('sys/class/hwmon', /^hwmon\d+$/)) {
    if ((await sysfs.text(`${chip}/name`)) !== 'rpi_volt') continue
    const alarm = await sysfs.number(`${chip}/in0_lcrit_alarm`)
    if (alarm !== undefined) return { undervoltage: alarm !== 0 }
  }
  return {}
}

/** Jetson Orin and Thor count over-current events: OC1 is undervoltage; the others are over-current, which throttles. */
function createOvercurrent(sysfs: Sysfs): Source {
  let before: ReadonlyMap<string, number> | null = null
  return async () => {
    const counts = new Map<string, number>()
    for (const chip of await sysfs.list('sys/class/hwmon', /^hwmon\d+$/)) {
      if ((await sysfs.text(`${chip}/name`)) !== 'soctherm_oc') continue
      for (const file of await sysfs.list(chip, /^oc\d+_event_cnt$/)) {
        const count = await sysfs.number(file)
        if (count !== undefined) counts.set(/oc\d+/.exec(file)![0], count)
      }
    }
    if (counts.size === 0) return {}
    const last = before ?? counts
    before = counts
    const hasRisen = (name: string): boolean => counts.get(name)! > (last.get(name) ?? 0)
    const names = [...counts.keys()]
    return {
      undervoltage: names.includes('oc1') && hasRisen('oc1'),
      undervoltage_since_boot: (counts.get('oc1') ?? 0) > 0,
      ...(names.some(hasRisen) ? { throttled: true } : {}),
      throttled_since_boot: names.some((name) => counts.get(name)! > 0),
    }
  }
}

/** Throttling on any board: the kernel reduces a clock through a cooling device whose state is above 0. */
async function coolingDevices(sysfs: Sysfs): Promise<BoardReadings> {
  const states: number[] = []
  for (const device of await sysfs.list('sys/class/thermal', /^cooling_device\d+$/)) {
    if (!/cpufreq|devfreq|throttle/i.test((await sysfs.text(`${device}/type`)) ?? '')) continue
    const state = await sysfs.number(`${device}/cur_state`)
    if (state !== undefined) states.push(state)
  }
  return states.length === 0 ? {} : { throttled: states.some((state) => state > 0) }
}

async function memory(sysfs: Sysfs): Promise<BoardReadings> {
  const [, kilobytes] = /^MemAvailable:\s+(\d+) kB/m.exec((await sysfs.text('proc/meminfo')) ?? '') ?? []
  return kilobytes === undefined ? {} : { mem_available_mb: Math.round((Number(kilobytes) * 1024) / 1e6) }
}

async function disk(folder: string): Promise<BoardReadings> {
  const { bavail, bsize } = await statfs(folder)
  return { disk_free_mb: Math.round((bavail * bsize) / 1e6) }
}
