/** Faults that the kernel's log names, and the readings of a board that has some. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { examineBoard } from '../../src/doctor/board.js'
import type { DoctorContext } from '../../src/doctor/doctor.js'
import { findFaults, kernelFaults } from '../../src/doctor/kernel-log.js'
import { testFolder } from './run-doctor.js'

const folder = testFolder()

describe('the kernel log', () => {
  it.each([
    ['camera memory', 'cma: cma_alloc: reserved: alloc failed, req-size: 450 pages, ret: -12'],
    ['CSI front end', 'rp1-cfe 1f00110000.csi: csi2_ch0 node link timed out'],
    ['CSI front end', 'video4linux video0: frontend timeout'],
    ['Argus', 'tegra194-vi5 15c10000.vi: PXL_SOF syncpt timeout! err = -11'],
    ['USB', 'usb 1-1.3: USB disconnect, device number 5'],
    ['supply', 'hwmon hwmon1: Undervoltage detected!'],
    ['supply', 'Under-voltage detected! (0x00050005)'],
    ['card', 'mmc0: error -110 whilst initialising SD card'],
    ['card', 'blk_update_request: I/O error, dev mmcblk0, sector 1234'],
    ['memory', 'Out of memory: Killed process 812 (node) total-vm:1234kB'],
  ])('reveals a fault of %s in: %s', (name, line) => {
    expect(
      findFaults(`all is well\n${line}\nusb 1-1: new high-speed USB device number 2\n`).map((fault) => fault.name),
    ).toEqual([name])
  })

  it('reveals no fault in the messages of an ordinary boot', () => {
    const log =
      'Linux version 6.6\ncma: Reserved 64 MiB at 0x3ac00000\nusb 1-1: New USB device found\nmmc0: new high speed SDHC card\nuvcvideo 1-1:1.0: Found UVC 1.00 device\nthermal_sys: Registered thermal governor\nunicam fe801000.csi: registered'
    expect(findFaults(log)).toEqual([])
    expect(kernelFaults.every(({ fix, cause }) => fix.length > 10 && cause.length > 10)).toBe(true)
  })

  let root: string
  beforeAll(() => {
    root = join(folder, 'board')
    mkdirSync(join(root, 'sys/class/thermal/thermal_zone0'), { recursive: true })
    mkdirSync(join(root, 'proc/device-tree'), { recursive: true })
    writeFileSync(join(root, 'sys/class/thermal/thermal_zone0/type'), 'cpu-thermal\n')
    writeFileSync(join(root, 'sys/class/thermal/thermal_zone0/temp'), '88200\n')
    writeFileSync(join(root, 'proc/device-tree/model'), 'Raspberry Pi 5 Model B Rev 1.0\0')
    writeFileSync(
      join(root, 'kernel.log'),
      'Under-voltage detected! (0x00050005)\nunicam fe801000.csi: frontend timeout\n',
    )
  })

  it('heat, a weak supply and a loose ribbon cable are reported, each under the area that it affects', async () => {
    const checks = await examineBoard({ root, stateFolder: folder } as DoctorContext)
    expect(checks.find(({ name }) => name === 'board')?.evidence).toMatch(/Raspberry Pi 5/)
    expect(checks.find(({ name }) => name === 'temperature')).toMatchObject({
      verdict: 'fail',
      evidence: expect.stringMatching(/^88/),
    })
    expect(checks.find(({ name }) => name === 'kernel: supply')).toMatchObject({ area: 'board', verdict: 'warn' })
    expect(checks.find(({ name }) => name === 'kernel: CSI front end')).toMatchObject({
      area: 'camera',
      fix: expect.stringMatching(/ribbon cable/),
    })
  })
})
