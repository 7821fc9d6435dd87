/**
 * Readings of boards that this machine is not: sysfs trees made for these tests after the sources of the kernel drivers
 * (Raspberry Pi's firmware driver, raspberrypi-hwmon, Tegra's soctherm and thermal zones). None was recorded on a board.
 */
import { execFileSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { createBoardReader } from '../src/board.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-health-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function tree(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(folder, 'board-'))
  for (const [path, text] of Object.entries(files)) put(root, path, text)
  return root
}

function put(root: string, path: string, text: string): void {
  mkdirSync(join(root, dirname(path)), { recursive: true })
  writeFileSync(join(root, path), text)
}

function program(name: string, script: string): string {
  const path = join(folder, name)
  writeFileSync(path, `#!/bin/sh\n${script}\n`)
  chmodSync(path, 0o755)
  return path
}

const pi = {
  'proc/device-tree/model': 'Raspberry Pi 4 Model B Rev 1.4\0',
  'proc/meminfo': 'MemTotal:        3884380 kB\nMemFree:          301000 kB\nMemAvailable:    3000000 kB\n',
  'sys/class/thermal/thermal_zone0/type': 'cpu-thermal\n',
  'sys/class/thermal/thermal_zone0/temp': '61835\n',
  'sys/class/thermal/cooling_device0/type': 'gpio-fan\n',
  'sys/class/thermal/cooling_device0/cur_state': '1\n',
}
const jetson = {
  'proc/device-tree/model': 'NVIDIA Jetson Orin Nano Developer Kit\0',
  ...zones({
    'cpu-thermal': '48250',
    'gpu-thermal': '47000',
    'cv0-thermal': '-256000',
    'soc0-thermal': '46187',
    'tj-thermal': '49500',
    'PMIC-Die': '100000',
    Tboard_tegra: '99000',
  }),
  'sys/class/hwmon/hwmon1/name': 'ina3221\n',
  'sys/class/hwmon/hwmon3/name': 'soctherm_oc\n',
  'sys/class/hwmon/hwmon3/oc1_event_cnt': '0\n',
  'sys/class/hwmon/hwmon3/oc2_event_cnt': '2\n',
  'sys/class/hwmon/hwmon3/oc3_event_cnt': '37\n',
  'sys/class/hwmon/hwmon3/oc1_throt_en': '1\n',
}

function zones(millidegrees: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(millidegrees).flatMap(([type, temp], i) => [
      [`sys/class/thermal/thermal_zone${i}/type`, `${type}\n`],
      [`sys/class/thermal/thermal_zone${i}/temp`, `${temp}\n`],
    ]),
  )
}

describe('a Raspberry Pi', () => {
  it('has the temperature, memory and name from the kernel', async () => {
    const reader = createBoardReader({ root: tree(pi) })
    expect(await reader.read()).toMatchObject({ soc_c: 61.8, mem_available_mb: 3072 })
    expect(await reader.model()).toBe('Raspberry Pi 4 Model B Rev 1.4')
  })

  it.each([
    ['0', false, false, false, false],
    ['50000', false, false, true, true],
    ['50005', true, true, true, true],
    ['80008', false, true, false, true],
    ['0x1', true, false, false, false],
    ['20002', false, true, false, true],
  ])(
    'get_throttled %s from sysfs: undervoltage %s, throttled %s; since boot %s, %s',
    async (bits, undervoltage, throttled, undervoltage_since_boot, throttled_since_boot) => {
      const said = { undervoltage, throttled, undervoltage_since_boot, throttled_since_boot }
      for (const device of ['soc/soc:firmware', 'soc@107c000000/soc@107c000000:firmware']) {
        expect(
          await createBoardReader({
            root: tree({ ...pi, [`sys/devices/platform/${device}/get_throttled`]: `${bits}\n` }),
          }).read(),
        ).toMatchObject(said)
      }
    },
  )

  it('runs vcgencmd if sysfs has nothing and a firmware device exists', async () => {
    const vcgencmd = program('vcgencmd', 'test "$1" = get_throttled && echo throttled=0x50001')
    expect(await createBoardReader({ root: tree({ ...pi, 'dev/vcio': '' }), vcgencmd }).read()).toMatchObject({
      undervoltage: true,
      throttled: false,
      throttled_since_boot: true,
    })
    expect(await createBoardReader({ root: tree(pi), vcgencmd }).read()).not.toHaveProperty('undervoltage')
  })

  it("has the supply alarm of rpi_volt with Debian's kernel", async () => {
    const volt = { ...pi, 'sys/class/hwmon/hwmon0/name': 'rpi_volt\n', 'sys/class/hwmon/hwmon0/in0_lcrit_alarm': '1\n' }
    const health = await createBoardReader({ root: tree(volt) }).read()
    expect(health).toMatchObject({ undervoltage: true })
    expect(health).not.toHaveProperty('undervoltage_since_boot')
  })

  it('is throttled if the kernel slows the clock down, but not if it only turns the fan', async () => {
    const cpufreq = {
      ...pi,
      'sys/class/thermal/cooling_device1/type': 'cpufreq-cpu0\n',
      'sys/class/thermal/cooling_device1/cur_state': '0\n',
    }
    expect(await createBoardReader({ root: tree(cpufreq) }).read()).toMatchObject({ throttled: false })
    expect(
      await createBoardReader({
        root: tree({ ...cpufreq, 'sys/class/thermal/cooling_device1/cur_state': '3\n' }),
      }).read(),
    ).toMatchObject({ throttled: true })
  })
})

describe('a Jetson', () => {
  it('has each thermal zone by name, except those that are off, of the board, or always 100 °C', async () => {
    const { soc_c, zones_c } = await createBoardReader({ root: tree(jetson) }).read()
    expect(soc_c).toBe(49.5)
    expect(zones_c).toEqual({ 'cpu-thermal': 48.3, 'gpu-thermal': 47, 'soc0-thermal': 46.2, 'tj-thermal': 49.5 })
  })

  it('is throttled while its over-current events are rising', async () => {
    const root = tree(jetson)
    const reader = createBoardReader({ root })
    const first = await reader.read()
    expect(first).toMatchObject({ undervoltage: false, undervoltage_since_boot: false, throttled_since_boot: true })
    expect(first).not.toHaveProperty('throttled')
    put(root, 'sys/class/hwmon/hwmon3/oc3_event_cnt', '40\n')
    expect(await reader.read()).toMatchObject({ throttled: true, undervoltage: false })
    put(root, 'sys/class/hwmon/hwmon3/oc1_event_cnt', '1\n')
    expect(await reader.read()).toMatchObject({ throttled: true, undervoltage: true, undervoltage_since_boot: true })
    expect(await reader.read()).toMatchObject({ undervoltage: false, undervoltage_since_boot: true })
  })
})

describe('any machine', () => {
  it('leaves out readings that it does not have, and none is null', async () => {
    const health = await createBoardReader({ root: tree({}) }).read()
    expect(Object.keys(health)).toEqual(['system_uptime_s'])
    expect(await createBoardReader({ root: tree({}) }).model()).toBeUndefined()
    const own = await createBoardReader({ stateDirectory: folder }).read()
    expect(Object.values(own)).not.toContain(null)
    expect(own.mem_available_mb).toBeGreaterThan(0)
    expect(own.disk_free_mb).toBeGreaterThan(0)
  })

  it('has the other readings if the state directory is missing or sysfs holds garbage', async () => {
    const root = tree({
      ...zones({ 'cpu-thermal': 'hot' }),
      'proc/meminfo': 'rubbish',
      'sys/devices/platform/soc/soc:firmware/get_throttled': 'no',
    })
    expect(Object.keys(await createBoardReader({ root, stateDirectory: join(folder, 'nowhere') }).read())).toEqual([
      'system_uptime_s',
    ])
  })

  it('uses the sensor of the processor if there is no thermal zone', async () => {
    const root = tree({
      'sys/class/hwmon/hwmon0/name': 'nvme\n',
      'sys/class/hwmon/hwmon0/temp1_input': '71000\n',
      'sys/class/hwmon/hwmon1/name': 'k10temp\n',
      'sys/class/hwmon/hwmon1/temp1_input': '55500\n',
    })
    expect(await createBoardReader({ root }).read()).toMatchObject({ soc_c: 55.5 })
  })

  it('does not wait for a sensor or program that hangs, and asks it only once', async () => {
    const root = tree({ ...pi, 'dev/vcio': '' })
    const fifo = join(root, 'sys/class/thermal/thermal_zone0/temp')
    rmSync(fifo)
    execFileSync('mkfifo', [fifo]) // reading it blocks one of libuv's threads until somebody writes
    const reader = createBoardReader({ root, vcgencmd: program('hanging', 'exec sleep 60'), timeoutMs: 200 })
    const readings = []
    for (let i = 0; i < 6; i++) readings.push(await reader.read()) // more than libuv has threads
    for (const health of readings) {
      expect(health).toMatchObject({ mem_available_mb: 3072 })
      expect(health).not.toHaveProperty('soc_c')
      expect(health).not.toHaveProperty('undervoltage')
    }
    const writer = await open(fifo, 'w')
    await writer.write('61835\n')
    await writer.close()
  })
})
