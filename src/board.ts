/**
 * How the board is: temperature of the SoC, throttling, supply voltage, memory, space for the state. One reader serves
 * MQTT's health, metrics and doctor. What a board does not have is left out, never null: a template that reads a
 * missing value says so, one that reads null shows nonsense. Nothing here blocks or waits for long.
 */
import { execFile } from 'node:child_process'
import { readdir, readFile, statfs } from 'node:fs/promises'
import { uptime } from 'node:os'
import { join } from 'node:path'

export interface BoardHealth {
  /** The hottest of the SoC's zones, °C. */
  readonly soc_c?: number
  /** Every zone of the SoC by its kernel name, °C, where there are several (Jetson). */
  readonly zones_c?: Readonly<Record<string, number>>
  /** The clock is held down now, by heat or supply. */
  readonly throttled?: boolean
  readonly throttled_since_boot?: boolean
  /** The supply is too weak now. */
  readonly undervoltage?: boolean
  readonly undervoltage_since_boot?: boolean
  /** What programs can still have without swapping. */
  readonly mem_available_mb?: number
  /** Free for us on the file system of the state directory. */
  readonly disk_free_mb?: number
  readonly system_uptime_s?: number
}

export interface BoardOptions {
  /** Where /sys, /proc and /dev are read from; default '/'. Tests give a tree that they made. */
  readonly root?: string
  /** Whose file system's free space is told; absent: none. */
  readonly stateDirectory?: string
  /** The firmware's own program; default `vcgencmd` of the PATH. */
  readonly vcgencmd?: string
  /** A source that has not answered by then is left out; default 2,000. */
  readonly timeoutMs?: number
}

export interface BoardReader {
  /** Resolves within about `timeoutMs`, never rejects. */
  read(): Promise<BoardHealth>
  /** What the board is called, such as `Raspberry Pi 5 Model B Rev 1.0`; undefined where nothing says. */
  model(): Promise<string | undefined>
}

type Source = () => Promise<BoardHealth>

/** Makes a reader. It remembers counters between readings, so a program has one. */
export function createBoardReader({
  root = '/',
  stateDirectory,
  vcgencmd = 'vcgencmd',
  timeoutMs = 2000,
}: BoardOptions = {}): BoardReader {
  const sysfs = createSysfs(root)
  const overcurrent = createOvercurrent(sysfs)
  // In this order: a later source says more of the same thing than an earlier one.
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
  // A sensor behind a bus that hangs would take one of libuv's four threads at every reading: it is asked one at a time.
  const asking = new Set<Source>()

  function ask(source: Source): Promise<BoardHealth> {
    if (asking.has(source)) return Promise.resolve({})
    asking.add(source)
    return within(
      source()
        .catch(() => ({}))
        .finally(() => asking.delete(source)),
      timeoutMs,
    )
  }

  return {
    async read() {
      return Object.assign({}, ...(await Promise.all(sources.map(ask)))) as BoardHealth
    },
    async model() {
      // A device tree's string ends with NUL; a PC has its name in DMI.
      const name = (await sysfs.text('proc/device-tree/model')) ?? (await sysfs.text('sys/class/dmi/id/product_name'))
      return name === undefined || name === '' ? undefined : name
    },
  }
}

async function within(reading: Promise<BoardHealth>, timeoutMs: number): Promise<BoardHealth> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<BoardHealth>((resolve) => {
    timer = setTimeout(() => resolve({}), timeoutMs).unref()
  })
  return Promise.race([reading, late]).finally(() => clearTimeout(timer))
}

interface Sysfs {
  readonly root: string
  /** What a file says, without NUL and space around it; undefined where it cannot be read. */
  text(path: string): Promise<string | undefined>
  /** A file's number; undefined where there is none. */
  number(path: string): Promise<number | undefined>
  /** Folders or files below `path` whose names match, with their paths. */
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
      const said = await text(path)
      return said === undefined || !/^-?\d+$/.test(said) ? undefined : Number(said)
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
 * Zones that are of the SoC: Pi `cpu-thermal`, Jetson `CPU-therm`, `gpu-thermal`, `soc0-thermal`, `tj-thermal`, PC
 * `x86_pkg_temp`. Not the board's, the radio's, nor Jetson's `PMIC-Die`, which says 100 °C on every board.
 */
const socZone = /^(cpu|gpu|soc|tj|[bm]cpu|aux|ao|cv\d?|x86_pkg_temp)/i

/** Sensors of the processor where the kernel has no thermal zone for it, as on most PCs. */
const processorSensors = /^(coretemp|k10temp|zenpower|cpu_thermal)$/

async function temperatures(sysfs: Sysfs): Promise<BoardHealth> {
  const zones: Record<string, number> = {}
  for (const zone of await sysfs.list('sys/class/thermal', /^thermal_zone\d+$/)) {
    const name = await sysfs.text(`${zone}/type`)
    // Jetson refuses (EAGAIN) or says -256 °C for a part that is powered off.
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

/** Millidegrees to degrees with one decimal, where silicon can be so warm. */
function plausible(millidegrees: number | undefined): number | undefined {
  const degrees = millidegrees === undefined ? NaN : Math.round(millidegrees / 100) / 10
  return degrees > -60 && degrees < 160 ? degrees : undefined
}

/** Raspberry Pi's firmware, bits of get_throttled: 0 undervoltage, 1 capped, 2 throttled, 3 soft limit; 16 to 19 the same since boot. */
const undervoltageBit = 0x1
const slowBits = 0xe
const sinceBoot = 16

async function firmware(sysfs: Sysfs, vcgencmd: string, timeoutMs: number): Promise<BoardHealth> {
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
  // Raspberry Pi's kernel has it in sysfs, below soc on a Pi 4 and below soc@107c000000 on a Pi 5; Debian's own kernel has not.
  for (const soc of await sysfs.list('sys/devices/platform', /^soc/)) {
    for (const device of [soc, ...(await sysfs.list(soc, /firmware$/))]) {
      const said = await sysfs.text(`${device}/get_throttled`)
      if (said !== undefined && /^(0x)?[0-9a-f]+$/i.test(said)) return parseInt(said, 16)
    }
  }
  // The firmware's own program asks through this device; without it there is nobody to ask.
  if ((await sysfs.list('dev', /^(vcio|vchiq)$/)).length === 0) return undefined
  const said = await new Promise<string>((resolve) => {
    execFile(vcgencmd, ['get_throttled'], { timeout: timeoutMs }, (error, stdout) => resolve(error ? '' : stdout))
  })
  const [, hex] = /throttled=0x([0-9a-f]+)/i.exec(said) ?? []
  return hex === undefined ? undefined : parseInt(hex, 16)
}

/** Linux's own driver for the Pi's supply (`rpi_volt`): the alarm is set while the voltage has been too low within two seconds. */
async function firmwareHwmon(sysfs: Sysfs): Promise<BoardHealth> {
  for (const chip of await sysfs.list('sys/class/hwmon', /^hwmon\d+$/)) {
    if ((await sysfs.text(`${chip}/name`)) !== 'rpi_volt') continue
    const alarm = await sysfs.number(`${chip}/in0_lcrit_alarm`)
    if (alarm !== undefined) return { undervoltage: alarm !== 0 }
  }
  return {}
}

/** Jetson Orin and Thor count over-current events: OC1 is undervoltage, the others too much current, which throttles. */
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

/** Any board whose kernel holds a clock down against heat: a cooling device of a clock that is at work. */
async function coolingDevices(sysfs: Sysfs): Promise<BoardHealth> {
  const states: number[] = []
  for (const device of await sysfs.list('sys/class/thermal', /^cooling_device\d+$/)) {
    if (!/cpufreq|devfreq|throttle/i.test((await sysfs.text(`${device}/type`)) ?? '')) continue
    const state = await sysfs.number(`${device}/cur_state`)
    if (state !== undefined) states.push(state)
  }
  return states.length === 0 ? {} : { throttled: states.some((state) => state > 0) }
}

async function memory(sysfs: Sysfs): Promise<BoardHealth> {
  const [, kilobytes] = /^MemAvailable:\s+(\d+) kB/m.exec((await sysfs.text('proc/meminfo')) ?? '') ?? []
  return kilobytes === undefined ? {} : { mem_available_mb: Math.round((Number(kilobytes) * 1024) / 1e6) }
}

async function disk(folder: string): Promise<BoardHealth> {
  const { bavail, bsize } = await statfs(folder)
  return { disk_free_mb: Math.round((bavail * bsize) / 1e6) }
}
