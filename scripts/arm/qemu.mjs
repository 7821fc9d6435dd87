// Runs arm64 programs under QEMU and counts what they execute.
import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { isFmla, isVector, moved } from './instructions.mjs'

const plugin = fileURLToPath(new URL('blocks.c', import.meta.url))
const libraries = '/usr/aarch64-linux-gnu/lib'
const cores = 4

/** The processors that a board may have: what the kernel reports about each, on a Raspberry Pi 4 and on a Raspberry Pi 5. */
const processors = {
  'cortex-a72': { features: 'fp asimd evtstrm crc32 cpuid', part: '0xd08', secondLevel: '1024K' },
  'cortex-a76': {
    features: 'fp asimd evtstrm aes pmull sha1 sha2 crc32 atomics fphp asimdhp cpuid asimdrdm lrcpc dcpop asimddp',
    part: '0xd0b',
    secondLevel: '512K',
  },
}

// Libraries that detect the processor read it here.
const cpuinfo = (core, { features, part }) => `processor\t: ${core}
Features\t: ${features}
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x4
CPU part\t: ${part}
CPU revision\t: 1

`

function must(command, args, options = {}) {
  const { status, error, stderr } = spawnSync(command, args, { encoding: 'utf8', ...options })
  if (error?.code === 'ENOENT')
    throw new Error(`${command} is missing: apt-get install qemu-user gcc g++-aarch64-linux-gnu`)
  if (status !== 0) throw new Error(`${command} ${args.join(' ')}:\n${stderr}`)
}

/**
 * A board with four Cortex-A76 (Raspberry Pi 5) or Cortex-A72 (Raspberry Pi 4) under QEMU. It has a temporary folder until
 * close().
 */
export class Board {
  #folder = mkdtempSync(join(tmpdir(), 'gapcam-arm-'))
  #node
  #cpu

  /** `node` is the path of an arm64 Node, `cpu` QEMU's name of the processor. */
  constructor(node, cpu = 'cortex-a76') {
    if (!(cpu in processors)) throw new Error(`${cpu} is unknown; known are ${Object.keys(processors).join(', ')}`)
    this.#node = node
    this.#cpu = cpu
    try {
      if (!existsSync(libraries)) throw new Error(`${libraries} is missing: apt-get install g++-aarch64-linux-gnu`)
      this.#makeRoot()
      must('gcc', ['-O2', '-shared', '-fPIC', '-fvisibility=hidden', '-o', join(this.#folder, 'blocks.so'), plugin])
    } catch (error) {
      this.close()
      throw error
    }
  }

  #makeRoot() {
    const devices = join(this.#folder, 'root/sys/devices/system/cpu')
    mkdirSync(devices, { recursive: true })
    mkdirSync(join(this.#folder, 'root/proc'))
    cpSync(libraries, join(this.#folder, 'root/lib'), { recursive: true })
    writeFileSync(
      join(this.#folder, 'root/proc/cpuinfo'),
      Array.from({ length: cores }, (_, core) => cpuinfo(core, processors[this.#cpu])).join(''),
    )
    for (const name of ['possible', 'present', 'online']) writeFileSync(join(devices, name), `0-${cores - 1}\n`)
    for (let core = 0; core < cores; core++) {
      const topology = join(devices, `cpu${core}/topology`)
      mkdirSync(topology, { recursive: true })
      const files = {
        physical_package_id: 0,
        core_id: core,
        thread_siblings_list: core,
        core_siblings_list: `0-${cores - 1}`,
      }
      for (const [name, value] of Object.entries(files)) writeFileSync(join(topology, name), `${value}\n`)
      // The executor reads the size of its blocks from this file. Without it, counts would depend on the machine here.
      const cache = join(devices, `cpu${core}/cache/index2`)
      mkdirSync(cache, { recursive: true })
      writeFileSync(join(cache, 'size'), `${processors[this.#cpu].secondLevel}\n`)
    }
  }

  /**
   * Runs Node with `args` and returns { instructions, vector, fmla, bytesLoaded, bytesStored } of the whole process.
   * Without its just-in-time compilers (`isCompiling`), Node executes almost the same instructions in every run.
   */
  count(args, { isCompiling = false, env = {} } = {}) {
    const list = join(this.#folder, 'blocks.txt')
    rmSync(list, { force: true })
    must(
      'qemu-aarch64',
      [
        '-cpu',
        this.#cpu,
        '-L',
        join(this.#folder, 'root'),
        '-plugin',
        join(this.#folder, 'blocks.so'),
        this.#node,
        ...(isCompiling ? [] : ['--jitless']),
        '--single-threaded',
        ...args,
      ],
      { env: { ...process.env, ...env, GAPCAM_BLOCKS: list } },
    )
    if (!existsSync(list))
      throw new Error('qemu-aarch64 wrote no counts. Install qemu-user: qemu-user-static cannot load plugins')
    return sum(readFileSync(list, 'utf8'))
  }

  close() {
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

/** Sums the counts of all blocks in the plugin's file. */
function sum(lines) {
  const total = { instructions: 0, vector: 0, fmla: 0, bytesLoaded: 0, bytesStored: 0 }
  for (const line of lines.split('\n')) {
    const [runs, , ...words] = line.split(' ')
    for (const text of words) {
      const word = parseInt(text, 16)
      const { loaded, stored } = moved(word)
      total.instructions += Number(runs)
      if (isVector(word)) total.vector += Number(runs)
      if (isFmla(word)) total.fmla += Number(runs)
      total.bytesLoaded += Number(runs) * loaded
      total.bytesStored += Number(runs) * stored
    }
  }
  return total
}
