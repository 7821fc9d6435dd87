// gapcam as a systemd service for real: a virtual machine whose init is this machine's systemd, with the kernel's V4L2
// test driver as the camera and mosquitto as the broker. Prints what each scene found, one JSON object a line.
//   node scripts/service-vm.mjs
// Needs Debian's qemu-system-x86 busybox-static kmod cpio systemd mosquitto mosquitto-clients python3, and x86-64.
import { spawnSync } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../', import.meta.url))
const cache = `${root}.cache/camera-vm`
const limitS = 2400
mkdirSync(cache, { recursive: true })
const { status } = spawnSync(`${root}test/camera-vm/camera-vm`, ['--systemd', cache, String(limitS), process.execPath, `${root}test/service/guest.mjs`], { stdio: ['ignore', 'inherit', 'inherit'] })
process.exitCode = status ?? 1
