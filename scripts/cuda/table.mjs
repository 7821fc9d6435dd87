// Writes docs/cuda-kernels.md from prebuilds/cuda/manifest.json: what the assembler says of each kernel, and what follows
// from it by arithmetic. With --check it only compares.
import { readFileSync, writeFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { generations, kernelRows, readManifest, root } from './kernels.mjs'

const target = `${root}docs/cuda-kernels.md`

/**
 * A multiprocessor of each generation (CUDA C++ Programming Guide, "Compute Capabilities"; sm_110 by CCCL's arch_traits):
 * resident threads and blocks, shared memory in KiB, and what of it each block loses. All have 65,536 registers.
 */
const processors = {
  72: { threads: 2048, blocks: 32, sharedKiB: 96, reserved: 0 },
  87: { threads: 1536, blocks: 16, sharedKiB: 164, reserved: 1024 },
  89: { threads: 1536, blocks: 24, sharedKiB: 100, reserved: 1024 },
  90: { threads: 2048, blocks: 32, sharedKiB: 228, reserved: 1024 },
  110: { threads: 1536, blocks: 24, sharedKiB: 228, reserved: 1024 },
}

/**
 * Boards: multiprocessors, float32 lanes and dense float16 tensor operations (a product and a sum are two) of each in a
 * clock, the GPU's highest clock in MHz, the memory's bandwidth in GB/s. `claim` is what the vendor says of float16 in other
 * words, in TFLOP/s: a check by another way. Nobody measured these here; `seen` says what of them was read where.
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
    seen: 'multiprocessors, lanes and the width of the memory in listings of deviceQuery on a board, the bandwidth in notes of others; the clock and the claim nowhere',
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
    seen: 'cores, tensor cores, clock and claim in a copy of the data sheet; the bandwidth in pages of others',
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
    seen: "the claim in NVIDIA's Deep-Learning-Accelerator-SW repository; clock and bandwidth nowhere",
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
    seen: "multiprocessors and lanes in NVIDIA's forum, by deviceQuery on a board; the claim, and a clock of 1,570 MHz, in pages of others; the bandwidth nowhere",
  },
]

/** TFLOP/s of a board. */
const peak = ({ processors, lanes, tensor, mhz }, isHalf) => (processors * (isHalf ? tensor : 2 * lanes) * mhz) / 1e6

/** Tiles of the product kernels: rows, columns, bytes of an element. */
const tiles = {
  conv_f32_64x64: [64, 64, 4],
  conv_f32_32x32: [32, 32, 4],
  conv_f16_wmma_64x64: [64, 64, 2],
  conv_f16_wmma_32x32: [32, 32, 2],
  conv_f16_mma_64x64: [64, 64, 2],
  conv_f16_mma_32x32: [32, 32, 2],
}

const up = (value, step) => Math.ceil(value / step) * step

/** Resident warps of a multiprocessor as a share of the most that it can have. Registers are given to warps by 256. */
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

/** FLOP per byte that a tile's block loads, from the second-level cache if not from memory. */
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
      'as the vendor says it: TFLOP/s of float16',
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

What is here was read from compilers or computed, none of it measured: nobody has run these kernels on these boards.
How to do that is in [jetson.md](jetson.md). \`node scripts/cuda/build-cubins.mjs\` compiles the cubins and writes this page,
\`node scripts/cuda/table.mjs\` writes it again from their manifest alone.

## What is proved on a processor

The files of \`native/cuda/kernels\` compile as C++ too, against a header that checks each of their words
(\`native/cuda/emulator\`). Blocks run one after the other, their threads as fibers. Faults are: an access outside a
buffer or outside allocated memory, a misaligned vector, shared memory that is read before it was written, or between
two barriers by one thread and written by another, a copy that is read before its wait, and a barrier or a warp
operation that not all threads reach. Each has a wrong kernel in \`native/test/cuda\` that must be found, and the same
one without the fault. Tensor cores are emulated by the fragment layouts of the PTX manual, with sums in single precision.
\`npm test\` runs all of it a second time under AddressSanitizer and UndefinedBehaviorSanitizer, which are told of each
switch between fibers, so that an access outside a thread's own variables (registers, on a GPU) is found too.

- Random odd shapes of every kind of step in each generation's code path, against the definition in double precision;
  every kernel must have run. Memory begins as NaN, and blocks in reverse order must give the same bits.
- Whole networks against the scalar executor, in single precision within 1e-4 of the logits' range, in half precision
  with the same label and within 2e-2: small ones in \`npm test\`, every model of models/ and of the shared folder by
  \`node scripts/cuda/parity.mjs\`, which says how far each is off.
- One label of that list differs: one photograph's of an EfficientNet-Lite0 with random weights, in every generation's half
  precision. Its first two scores are 5.1e-4 of the range apart, half precision is off by up to 4.8e-3 there, and rounding the picture
  alone, with all else in single precision, changes their places. The script calls a tie what is like that, and says it.
- Outputs leave as float32 from the kernel that summed them, so that scores are not rounded once more: tests hold that to
  single precision's accuracy, and what a later step reads as well to half's.
- A camera's frame in every format, size and turn: the bits of the CPU's pixel pass.

What this cannot show: time, the order in which a GPU really runs threads of one warp, and races between blocks that the
reversed order does not meet.

## Registers, shared memory, occupancy

Registers of a thread · shared memory of a block in KiB · theoretical occupancy: the warps that a multiprocessor can
hold at once, of those that it has room for. Spills would be said here; a test refuses them. An empty cell: the
generation has another kernel for it.

${figures(manifest)}

| cubin | bytes | compiler |
| --- | --: | --- |
${manifest.cubins.map(({ file, bytes, compiler }) => `| \`${file}\` | ${bytes.toLocaleString('en')} | ${compiler} |`).join('\n')}

## Roofline: an estimate

An upper bound by arithmetic: a tile of m × n results does 2·m·n operations for each (m + n) elements that its block
loads. Where that is less than what the board can compute in the time of loading them, memory bounds it, unless the
second-level cache already has them: at batch 1 a layer's tensors mostly are there, since the layer before has just
written them, and then the bound does not hold.

${roofline()}

What a board can compute is multiplied out from its multiprocessors and their highest clock, without sparsity. What the
vendor says of it in other words (dense INT8 is twice dense float16, sparse INT8 four times, sparse FP4 eight times) is
within ${(100 * Math.max(...boards.map((board) => Math.abs(peak(board, true) / board.claim.half - 1)))).toFixed(1)} % of that:

${boardTable()}

The figures are typed into \`scripts/cuda/table.mjs\`. None could be held against NVIDIA's own document here: the data
sheets are not at hand, and their titles and numbers are from memory.

${boards.map(({ name, source, seen }) => `- ${name}: ${source}. Seen: ${seen}.`).join('\n')}

Element-wise, pooling and depthwise kernels do a few operations for each byte, and are bound by memory on every board.
At batch 1 the small layers at the end of a network have fewer tiles than a board has multiprocessors: there the depth
is split among blocks (split-K), and the number of launches counts more than anything here. One CUDA graph launches them all.
`
}

export function writeTable() {
  writeFileSync(target, text())
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  if (!process.argv.includes('--check')) writeTable()
  else if (readFileSync(target, 'utf8') !== text()) {
    console.error('docs/cuda-kernels.md is not what prebuilds/cuda/manifest.json says: run node scripts/cuda/table.mjs')
    process.exitCode = 1
  }
}
