/** What the kernel has complained of: the causes that no program's own message names. */
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Area } from './check.js'

export interface KernelFault {
  readonly area: Area
  readonly name: string
  readonly pattern: RegExp
  readonly cause: string
  readonly fix: string
}

/** Sources: drivers/media and mm/cma.c of Linux, the Raspberry Pi's and NVIDIA's kernels. */
export const kernelFaults: readonly KernelFault[] = [
  {
    area: 'camera',
    name: 'camera memory',
    pattern:
      /cma: .*alloc failed|cma_alloc: .*failed|CMA.*(exhausted|failed to allocate)|dma_alloc_coherent of size .* failed/i,
    cause: 'contiguous memory (CMA) is exhausted, so cameras get no buffers',
    fix: 'Reboot; if it comes back add cma=256M to /boot/firmware/cmdline.txt, or lower the camera’s size.',
  },
  {
    area: 'camera',
    name: 'CSI front end',
    pattern: /(unicam|rp1-cfe|csi2?\b).*(time ?out|timed out)|front ?end.*time ?out|uncorr_err: request timed out/i,
    cause: 'the CSI front end waits for a camera that sends nothing',
    fix: 'Power off, reseat the ribbon cable at both ends (contacts the right way round), and check that the overlay names this camera.',
  },
  {
    area: 'camera',
    name: 'Argus',
    pattern: /tegra.*(PXL_SOF|syncpt).*time ?out|nvargus|vi5?: .*(timeout|corr_err)/i,
    cause: 'the Jetson’s capture engine had a fault',
    fix: 'sudo systemctl restart nvargus-daemon; if it comes back check cable and device tree overlay.',
  },
  {
    area: 'camera',
    name: 'USB',
    pattern:
      /usb \d[\d.-]*: (USB disconnect|device descriptor read.*error|reset .*speed USB device)|uvcvideo.*(Failed to|Non-zero status)|xhci.*(not responding|died)/i,
    cause: 'USB devices were reset or lost',
    fix: 'Use a shorter cable or a powered hub, and look at the supply.',
  },
  {
    area: 'board',
    name: 'supply',
    pattern: /under-?voltage detected|Voltage normali[sz]ed|system throttled due to over-current/i,
    cause: 'the supply was too weak',
    fix: 'Use the supply made for the board and a short thick cable; unplug what draws from its USB ports.',
  },
  {
    area: 'board',
    name: 'heat',
    pattern: /thermal.*(throttl|critical)|cpu clock throttled|throttling.*temperature/i,
    cause: 'the processor was slowed down because it was hot',
    fix: 'Fit a heat sink or a fan; keep the board out of the sun.',
  },
  {
    area: 'disk',
    name: 'card',
    pattern:
      /mmc\d.*(error|timeout)|blk_update_request: I\/O error|I\/O error, dev (mmcblk|sd|nvme)|EXT4-fs error|remounting filesystem read-only/i,
    cause: 'the disk or card gives errors',
    fix: 'Save what matters and replace the card; a better supply helps where both happen.',
  },
  {
    area: 'program',
    name: 'memory',
    pattern: /Out of memory: Killed process \d+ \((node|gapcam)|oom-kill:.*(node|gapcam)/i,
    cause: 'the kernel ended gapcam because memory ran out',
    fix: 'Use a smaller model or input size, fewer cameras, or add swap.',
  },
]

/** The kernel's log as text, or why it cannot be read. Tests put theirs into `kernel.log` below their root. */
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
  return { why: 'the kernel’s log may not be read by this user' }
}

export interface FoundFault extends KernelFault {
  readonly lines: readonly string[]
}

/** Which of the known faults are in the log, each with its lines. */
export function findFaults(log: string): FoundFault[] {
  const lines = log.split('\n')
  return kernelFaults
    .map((fault) => ({ ...fault, lines: lines.filter((line) => fault.pattern.test(line)) }))
    .filter((fault) => fault.lines.length > 0)
}
