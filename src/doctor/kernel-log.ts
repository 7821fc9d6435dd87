/** Finds faults in the kernel's log, which names causes that no program's own error names. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Area } from './check.js'

/** One kind of fault and the lines that reveal it. */
export interface KernelFault {
  readonly area: Area
  readonly name: string
  readonly pattern: RegExp
  readonly cause: string
  readonly fix: string
}

/** The known faults. Sources: drivers/media and mm/cma.c of Linux, the kernels of Raspberry Pi and NVIDIA. */
export const kernelFaults: readonly KernelFault[] = [
  {
    area: 'camera',
    name: 'camera memory',
    pattern:
      /cma: .*alloc failed|cma_alloc: .*failed|CMA.*(exhausted|failed to allocate)|dma_alloc_coherent of size .* failed/i,
    cause: 'contiguous memory (CMA) is exhausted, so cameras get no buffers',
    fix: 'Reboot. If it comes back, add cma=256M to the kernel command line (Raspberry Pi: /boot/firmware/cmdline.txt), or reduce the size of the camera’s pictures.',
  },
  {
    area: 'camera',
    name: 'CSI front end',
    pattern: /(unicam|rp1-cfe|csi2?\b).*(time ?out|timed out)|front ?end.*time ?out|uncorr_err: request timed out/i,
    cause: 'the CSI receiver gets no data from its camera',
    fix: 'Power off, reseat both ends of the ribbon cable the right way round, and check that the overlay is for this camera.',
  },
  {
    area: 'camera',
    name: 'Argus',
    pattern: /tegra.*(PXL_SOF|syncpt).*time ?out|nvargus|vi5?: .*(timeout|corr_err)/i,
    cause: 'the Jetson’s capture engine had a fault',
    fix: 'Run sudo systemctl restart nvargus-daemon. If it comes back, check the cable and the device tree overlay.',
  },
  {
    area: 'camera',
    name: 'USB',
    pattern:
      /usb \d[\d.-]*: (USB disconnect|device descriptor read.*error|reset .*speed USB device)|uvcvideo.*(Failed to|Non-zero status)|xhci.*(not responding|died)/i,
    cause: 'USB devices were reset or lost',
    fix: 'Use a shorter cable or a powered hub, and check the power supply.',
  },
  {
    area: 'board',
    name: 'supply',
    pattern: /under-?voltage detected|Voltage normali[sz]ed|system throttled due to over-current/i,
    cause: 'the supply voltage was too low',
    fix: 'Use the power supply made for the board and a short, thick cable. Unplug devices that draw power from its USB ports.',
  },
  {
    area: 'board',
    name: 'heat',
    pattern: /thermal.*(throttl|critical)|cpu clock throttled|throttling.*temperature/i,
    cause: 'the processor was slowed down because it was hot',
    fix: 'Add a heat sink or a fan, and keep the board out of the sun.',
  },
  {
    area: 'disk',
    name: 'card',
    pattern:
      /mmc\d.*(error|timeout)|blk_update_request: I\/O error|I\/O error, dev (mmcblk|sd|nvme)|EXT4-fs error|remounting filesystem read-only/i,
    cause: 'the disk or card has errors',
    fix: 'Save your data and replace the card. If the supply is weak too, replace it first.',
  },
  {
    area: 'program',
    name: 'memory',
    pattern: /Out of memory: Killed process \d+ \((node|gapcam)|oom-kill:.*(node|gapcam)/i,
    cause: 'the kernel ended a Node program, probably gapcam, because memory ran out',
    fix: 'Use a smaller model or input size or fewer cameras, or add swap.',
  },
]

/** The kernel's log as text, or why it cannot be read. With another root than '/' it is the file `kernel.log` there (tests). */
export async function readKernelLog(root: string): Promise<{ readonly text: string } | { readonly why: string }> {
  if (root !== '/')
    return readFile(join(root, 'kernel.log'), 'utf8').then(
      (text) => ({ text }),
      () => ({ text: '' }),
    )
  for (const [program, ...args] of [
    ['dmesg', '--notime'],
    ['dmesg'],
    ['journalctl', '-k', '-b', '-q', '--no-pager', '-o', 'cat'],
  ] as const) {
    const text = await new Promise<string | null>((resolve) => {
      execFile(
        program,
        [...args],
        { timeout: 5000, maxBuffer: 16 << 20, env: { ...process.env, LC_ALL: 'C' } },
        (error, stdout) => resolve(error ? null : stdout),
      )
    })
    if (text !== null) return { text }
  }
  return { why: 'this user may not read the kernel log' }
}

/** A fault with the lines of the log that show it. */
export interface FoundFault extends KernelFault {
  readonly lines: readonly string[]
}

/** The known faults that occur in a log, each with its lines. */
export function findFaults(log: string): FoundFault[] {
  const lines = log.split('\n')
  return kernelFaults
    .map((fault) => ({ ...fault, lines: lines.filter((line) => fault.pattern.test(line)) }))
    .filter((fault) => fault.lines.length > 0)
}
