// Writes docs/cuda-kernels.md from prebuilds/cuda/manifest.json: the assembler's figures of each kernel, and what follows from
// them by arithmetic. With --check it only compares.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { generations, kernelRows, readManifest, root } from './kernels.mjs'

const target = `${root}docs/cuda-kernels.md`

/**
 * The multiprocessor of each generation (CUDA C++ Programming Guide, "Compute Capabilities"; sm_110 by CCCL's arch_traits):
 * resident threads and blocks, shared memory in KiB, and the bytes of it that each block reserves. All have 65,536 registers.
 */
const processors = {
  72: { threads: 2048, blocks: 32, sharedKiB: 96, reserved: 0 },
  87: { threads: 1536, blocks: 16, sharedKiB: 164, reserved: 1024 },
  89: { threads: 1536, blocks: 24, sharedKiB: 100, reserved: 1024 },
  90: { threads: 2048, blocks: 32, sharedKiB: 228, reserved: 1024 },
  110: { threads: 1536, blocks: 24, sharedKiB: 228, reserved: 1024 },
}

/**
 * Boards: multiprocessors; float32 lanes and dense float16 tensor operations of each in a clock (a product and a sum are two
 * operations); the GPU's highest clock in MHz; the memory's bandwidth in GB/s. `claim` is the vendor's figure for float16 in
 * TFLOP/s, derived from other words, as a cross-check. None of this was measured here; `seen` says which values were read where.
 */
const boards = [
  {
    name: 'Jetson AGX Xavier',
    sm: 72,
    processors: 8,
    lanes: 64,
    tensor: 1024,
    mhz: 1377,
    bandwidth: 137,
    claim: { words: '11 TFLOPS of FP16', half: 11 },
    source: 'Jetson AGX Xavier Series System-on-Module Data Sheet (DS-09654-002)',
    seen: 'multiprocessors, lanes and the width of the memory in listings of deviceQuery on a board, the bandwidth in third-party notes; clock and claim not found',
  },
  {
    name: 'Jetson Orin Nano 8 GB',
    sm: 87,
    processors: 8,
    lanes: 128,
    tensor: 2048,
    mhz: 625,
    bandwidth: 68,
    claim: { words: '20 dense TOPS of INT8', half: 10 },
    source: 'Jetson Orin Nano Series Data Sheet (DS-11105-001), before the "Super" modes of JetPack 6.1',
    seen: 'cores, tensor cores, clock and claim in a copy of the data sheet; the bandwidth in third-party pages',
  },
  {
    name: 'Jetson AGX Orin 64 GB',
    sm: 87,
    processors: 16,
    lanes: 128,
    tensor: 2048,
    mhz: 1300,
    bandwidth: 205,
    claim: { words: '171 sparse TOPS of INT8 on the GPU', half: 42.75 },
    source: 'Jetson AGX Orin Series Data Sheet (DS-10662-001)',
    seen: "the claim in NVIDIA's Deep-Learning-Accelerator-SW repository; clock and bandwidth not found",
  },
  {
    name: 'Jetson AGX Thor',
    sm: 110,
    processors: 20,
    lanes: 128,
    tensor: 8192,
    mhz: 1575,
    bandwidth: 273,
    claim: { words: '2,070 sparse TFLOPS of FP4', half: 258.75 },
    source: 'Jetson Thor Series Modules Data Sheet (2025)',
    seen: "multiprocessors and lanes in NVIDIA's forum, by deviceQuery on a board; the claim, and a clock of 1,570 MHz, in third-party pages; the bandwidth not found",
  },
]

/** TFLOP/s of a board. */
const peak = ({ processors, lanes, tensor, mhz }, isHalf) => (processors * (isHalf ? tensor : 2 * lanes) * mhz) / 1e6

/** The tiles of the product kernels: rows, columns, bytes of an element. */
const tiles = {
  conv_f32_64x64: [64, 64, 4],
  conv_f32_32x32: [32, 32, 4],
  conv_f16_wmma_64x64: [64, 64, 2],
  conv_f16_wmma_32x32: [32, 32, 2],
  conv_f16_mma_64x64: [64, 64, 2],
  conv_f16_mma_32x32: [32, 32, 2],
}

const up = (value, step) => Math.ceil(value / step) * step

/** The resident warps of a multiprocessor as a share of the maximum. Registers are allocated to warps in units of 256. */
export function occupancy(sm, threads, { registers, sharedBytes }) {
  const p = processors[sm]
  const warps = threads / 32
  const byRegisters = Math.floor((Math.floor(65536 / up(registers * 32, 256) / 4) * 4) / warps)
  const byShared = Math.floor((p.sharedKiB * 1024) / (up(sharedBytes, 128) + p.reserved || 1))
  const blocks = Math.min(p.blocks, Math.floor(p.threads / threads), byRegisters, sharedBytes > 0 ? byShared : Infinity)
  return (blocks * threads) / p.threads
}

const table = (heading, rows) =>
  [heading, heading.map((_, i) => (i === 0 ? '---' : '--:')), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n')

function figures(manifest) {
  const cell = (row, sm) => {
    const found = manifest.kernels[row.name]?.[sm]
    if (!found) return ''
    const spills = found.spillBytes > 0 ? ` **${found.spillBytes} B spilled**` : ''
    return `${found.registers} · ${(found.sharedBytes / 1024).toFixed(found.sharedBytes > 0 ? 1 : 0)} · ${Math.round(100 * occupancy(sm, row.threads, found))} %${spills}`
  }
  return table(
    ['kernel', 'threads', ...generations.map((sm) => `sm_${sm}`)],
    kernelRows().map((row) => [`\`${row.name}\``, row.threads, ...generations.map((sm) => cell(row, sm))]),
  )
}

/** FLOP per byte that the block of a tile loads, from memory or from the second-level cache. */
const intensity = ([m, n, bytes]) => (2 * m * n) / ((m + n) * bytes)

function roofline() {
  const kernelsOf = ({ sm }) =>
    kernelRows()
      .filter(({ name, firstSm, lastSm }) => name in tiles && sm >= firstSm && sm <= lastSm)
      .map(({ name }) => name)
  const rows = boards.flatMap((board) =>
    kernelsOf(board).map((name) => {
      const balance = (peak(board, name.includes('f16')) * 1000) / board.bandwidth
      const reach = Math.min(1, intensity(tiles[name]) / balance)
      return [
        board.name,
        `\`${name}\``,
        intensity(tiles[name]).toFixed(0),
        balance.toFixed(0),
        `${Math.round(100 * reach)} %`,
      ]
    }),
  )
  return table(
    ['board', 'kernel', 'FLOP per byte of a tile', 'FLOP per byte of the board', 'of peak, if all came from memory'],
    rows,
  )
}

function boardTable() {
  const rows = boards.map((board) => [
    board.name,
    `${board.processors} × ${board.mhz.toLocaleString('en')} MHz`,
    `${board.tensor.toLocaleString('en')}, ${peak(board, true).toFixed(1)}`,
    `${board.claim.words}: ${board.claim.half}`,
    `${2 * board.lanes}, ${peak(board, false).toFixed(2)}`,
    `${board.bandwidth} GB/s`,
  ])
  return table(
    [
      'board',
      'multiprocessors',
      'float16: FLOP a clock and multiprocessor, TFLOP/s',
      "the vendor's words: TFLOP/s of float16",
      'float32',
      'memory',
    ],
    rows,
  )
}

function text() {
  const manifest = readManifest()
  return `<!-- Generated by scripts/cuda/table.mjs from prebuilds/cuda/manifest.json. Do not edit. -->

# The CUDA kernels in figures

The figures on this page come from compilers or were computed. None was measured: the kernels have not run on these boards.
[jetson.md](jetson.md) says how to run them there. \`node scripts/cuda/build-cubins.mjs\` compiles the cubins and writes this
page; \`node scripts/cuda/table.mjs\` writes it from their manifest alone.

## What is tested without a GPU

The files of \`native/cuda/kernels\` also compile as C++, against a header that checks each access (\`native/cuda/emulator\`).
Blocks run one after the other, with their threads as fibers. The emulator detects these faults: an access outside a buffer or
outside allocated memory; a misaligned vector; a read of shared memory before a write; an access to shared memory that another
thread wrote, without a barrier between; a read of a copy before its wait; a barrier or warp operation that not all threads
reach. For each fault \`native/test/cuda\` has a kernel with the fault, which must be found, and the same kernel without it.
Tensor cores are emulated in the fragment layouts of the PTX manual, with sums in single precision. \`npm test\` runs all of this
again under AddressSanitizer and UndefinedBehaviorSanitizer. They are told of each switch between fibers, so they also find
accesses outside a thread's own variables, which are registers on a GPU.

- Every kind of step, with random odd shapes, in each generation's code path, is compared with its definition in double
  precision. Every kernel must have run. Memory begins as NaN, and blocks in reverse order must give the same bits.
- Whole networks are compared with the scalar executor: in single precision within 1e-4 of the logits' range, in half precision
  with the same label and within 2e-2. Small ones run in \`npm test\`; \`node scripts/cuda/parity.mjs\` runs every model of
  models/ and of the shared folder and prints the differences.
- One label of that list differs, in half precision of every generation: one photograph on an EfficientNet-Lite0 with random
  weights. Its first two scores are 5.1e-4 of the range apart, and half precision is off by up to 4.8e-3 there. Rounding only
  the picture, with everything else in single precision, swaps them too. The script reports such a case as a tie.
- The kernel that computes an output writes it as float32, so that scores are not rounded again. Tests require the accuracy of
  single precision for it, and that of half precision if a later step also reads the value.
- A camera's frame in every format, size and rotation gives the bits of the CPU's pixel pass.

These tests cannot show times, the real execution order within a warp, or races between blocks that the reversed order does not
reveal.

## Registers, shared memory, occupancy

Registers of a thread · shared memory of a block in KiB · theoretical occupancy, which is the share of a multiprocessor's warps
that can be resident. Spills would appear here; a test refuses them. An empty cell means that the generation uses another kernel.

${figures(manifest)}

| cubin | bytes | compiler |
| --- | --: | --- |
${manifest.cubins.map(({ file, bytes, compiler }) => `| \`${file}\` | ${bytes.toLocaleString('en')} | ${compiler} |`).join('\n')}

## Roofline: an estimate

An upper bound by arithmetic: a tile of m × n results does 2·m·n operations for each (m + n) elements that its block loads. If
the board can compute more in the time of the loads, memory limits the kernel. The bound does not hold for data in the
second-level cache: at batch 1 most of a layer's inputs are there, because the layer before has just written them.

${roofline()}

A board's peak is the product of its multiprocessors, their operations in a clock and the highest clock, without sparsity. The
vendor's figure for other types (dense INT8 is twice dense float16, sparse INT8 four times, sparse FP4 eight times) is within
${(100 * Math.max(...boards.map((board) => Math.abs(peak(board, true) / board.claim.half - 1)))).toFixed(1)} % of that:

${boardTable()}

The figures are constants in \`scripts/cuda/table.mjs\`. They were not checked against NVIDIA's own documents: the data sheets
were not at hand, and their titles and numbers are from memory.

${boards.map(({ name, source, seen }) => `- ${name}: ${source}. Seen: ${seen}.`).join('\n')}

Element-wise, pooling and depthwise kernels do few operations for each byte, so memory limits them on every board. At batch 1
the small layers at the end of a network have fewer tiles than a board has multiprocessors. There the depth is split among
blocks (split-K), and the number of launches matters most. One CUDA graph launches all kernels.
`
}

export function writeTable() {
  writeFileSync(target, text())
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (!process.argv.includes('--check')) writeTable()
  else if (readFileSync(target, 'utf8') !== text()) {
    console.error('docs/cuda-kernels.md does not match prebuilds/cuda/manifest.json: run node scripts/cuda/table.mjs')
    process.exitCode = 1
  }
}
