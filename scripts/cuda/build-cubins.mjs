// Compiles the CUDA kernels to one cubin for each generation in prebuilds/cuda. Also writes a manifest with the digests
// and the assembler's figures of each kernel, and docs/cuda-kernels.md. It needs python3, pip and PyPI, but no GPU,
// driver or CUDA toolkit. NVRTC 11.8 still supports Xavier (sm_72), NVRTC 13 supports Thor (sm_110).
//   node scripts/cuda/build-cubins.mjs
import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { cubinFolder, root, sourceDigest } from './kernels.mjs'
import { writeTable } from './table.mjs'

/** The compilers as wheels with pinned digests, and the generations that each one compiles for. */
export const compilers = [
  {
    name: 'NVRTC 11.8.89',
    folder: 'nvrtc-11.8',
    generations: [72, 87, 89, 90],
    requirements: [
      'nvidia-cuda-nvrtc-cu11==11.8.89 --hash=sha256:a8d02f3cba345be56b1ffc3e74d8f61f02bb758dd31b0f20e12277a5a244f756',
      'nvidia-cuda-runtime-cu11==11.8.89 --hash=sha256:92d04069a987e1fbc9213f8376d265df0f7bb42617d44f5eda1f496acea7f2d1',
    ],
  },
  {
    name: 'NVRTC 13.0.88',
    folder: 'nvrtc-13.0',
    generations: [110],
    requirements: [
      'nvidia-cuda-nvrtc==13.0.88 --hash=sha256:ad9b6d2ead2435f11cbb6868809d2adeeee302e9bb94bcf0539c7a40d80e8575',
      'nvidia-cuda-runtime==13.0.96 --hash=sha256:7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548',
    ],
  },
]

function run(command, args) {
  const { status } = spawnSync(command, args, { stdio: ['ignore', 2, 2] })
  if (status !== 0) throw new Error(`${command} ${args.slice(0, 3).join(' ')} … failed; see the messages above`)
}

/** The folder with a compiler's packages. They are fetched if they are missing. */
export function fetchCompiler({ folder, requirements }) {
  const target = `${root}.cache/${folder}`
  if (existsSync(target)) return target
  const fresh = `${target}-${process.pid}`
  mkdirSync(fresh, { recursive: true })
  writeFileSync(`${fresh}/requirements.txt`, requirements.join('\n'))
  run('python3', [
    '-m',
    'pip',
    'install',
    '--quiet',
    '--no-deps',
    '--require-hashes',
    '--only-binary=:all:',
    '--root-user-action=ignore',
    '--target',
    fresh,
    '-r',
    `${fresh}/requirements.txt`,
  ])
  renameSync(fresh, target)
  return target
}

/** { kernel: { registers, spillBytes, stackBytes, sharedBytes } } from the output of ptxas -v. */
export function readLog(text) {
  const kernels = {}
  let kernel
  for (const line of text.split('\n')) {
    const [, name] = /Compiling entry function '(\w+)'/.exec(line) ?? []
    if (name) kernel = kernels[name] = { registers: 0, spillBytes: 0, stackBytes: 0, sharedBytes: 0 }
    // Functions have separate figures. They count for the kernel that calls them.
    const [, stack, stores, loads] =
      /(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads/.exec(line) ?? []
    if (stack && kernel) {
      kernel.stackBytes = Math.max(kernel.stackBytes, Number(stack))
      kernel.spillBytes = Math.max(kernel.spillBytes, Number(stores) + Number(loads))
    }
    const [, registers] = /Used (\d+) registers/.exec(line) ?? []
    if (registers && kernel) {
      kernel.registers = Number(registers)
      kernel.sharedBytes = Number(/(\d+) bytes smem/.exec(line)?.[1] ?? 0)
    }
  }
  return kernels
}

function main() {
  const out = mkdtempSync(join(root, '.cache', 'cubins-'))
  const [cubins, kernels] = [[], {}]
  try {
    for (const compiler of compilers) {
      run('python3', [
        `${root}scripts/cuda/nvrtc.py`,
        fetchCompiler(compiler),
        `${root}native/cuda/kernels/kernels.cu`,
        out,
        ...compiler.generations.map((sm) => `sm_${sm}`),
      ])
      for (const sm of compiler.generations) {
        const bytes = readFileSync(`${out}/sm_${sm}.cubin`)
        cubins.push({
          sm,
          file: `sm_${sm}.cubin`,
          sha256: createHash('sha256').update(bytes).digest('hex'),
          bytes: bytes.length,
          compiler: compiler.name,
        })
        for (const [name, figures] of Object.entries(readLog(readFileSync(`${out}/sm_${sm}.log`, 'utf8'))))
          (kernels[name] ??= {})[sm] = figures
        mkdirSync(cubinFolder, { recursive: true })
        writeFileSync(`${cubinFolder}/sm_${sm}.cubin`, bytes)
      }
    }
  } finally {
    rmSync(out, { recursive: true, force: true })
  }
  const sorted = Object.fromEntries(Object.entries(kernels).sort(([a], [b]) => (a < b ? -1 : 1)))
  writeFileSync(
    `${cubinFolder}/manifest.json`,
    `${JSON.stringify({ source: sourceDigest(), cubins, kernels: sorted }, null, 1).replace(/\{\n\s+"registers": (\d+),\n\s+"spillBytes": (\d+),\n\s+"stackBytes": (\d+),\n\s+"sharedBytes": (\d+)\n\s+\}/g, '{ "registers": $1, "spillBytes": $2, "stackBytes": $3, "sharedBytes": $4 }')}\n`,
  )
  writeTable()
  console.log(`${cubins.map(({ file, bytes }) => `${file} ${bytes}`).join(', ')} bytes`)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) main()
