// The parts of a measurement by name: the program that prints the JSON, and its arguments; null where none of the networks
// that it measures is there.

import { eightBitFiles } from './models.mjs'

const zooOf = (models, ...names) => models.filter((file) => names.some((name) => file.endsWith(`${name}.onnx`)))

const withNetworks = (args, networks) => (networks.length > 0 ? [...args, ...networks] : null)

export const parts = {
  /** gapcam and other runtimes in turns, on one and two threads. */
  peers: {
    script: 'scripts/bench/peers.mjs',
    args: ({ models, isQuick }) => ['--json', '--threads', '1,2', '--rounds', isQuick ? '2' : '4', ...models],
  },
  /** The same in 8 bits: networks that are quantised first, and files that have 8 bits already. */
  bytes: {
    script: 'scripts/bench/peers.mjs',
    args: ({ models, isQuick }) =>
      withNetworks(
        ['--json', '--bits', '8', '--threads', '1,2', '--rounds', isQuick ? '2' : '4'],
        [...zooOf(models, 'mobilenet_v2', 'efficientnet_lite0', 'resnet18'), ...eightBitFiles()],
      ),
  },
  /** In float32 on two threads, while another program keeps one core busy. */
  load: {
    script: 'scripts/bench/peers.mjs',
    args: ({ models, isQuick }) => [
      '--json',
      '--threads',
      '2',
      '--beside-load',
      '--rounds',
      isQuick ? '2' : '5',
      ...(zooOf(models, 'mobilenet_v2', 'resnet18').length > 0
        ? zooOf(models, 'mobilenet_v2', 'resnet18')
        : models.slice(0, 1)),
    ],
  },
  /** Fresh processes: time from opening a model to the first result, and peak memory. */
  memory: {
    script: 'scripts/bench/open.mjs',
    args: ({ models, isQuick }) => ['--json', '--rounds', isQuick ? '1' : '7', ...models],
  },
  /** The time of each step of each network. */
  steps: {
    script: 'dist/cli/main.js',
    args: ({ models, isQuick }) => ['bench', '--steps', '--json', '--seconds', isQuick ? '0.2' : '3', ...models],
  },
  /** Bytes of each network's tensors in memory. */
  arena: { script: 'scripts/bench/arena.mjs', args: ({ models }) => ['--json', ...models] },
  /** The pixel path: from a frame to the input tensor. */
  preprocess: {
    script: 'scripts/bench/preprocess.mjs',
    args: ({ isQuick }) => ['--json', '--seconds', isQuick ? '0.2' : '5'],
  },
  /** Allocations and system calls of an inference, and delays of the event loop. */
  frameLoop: {
    script: 'scripts/bench/frame-loop.mjs',
    args: ({ models, isQuick }) => ['--json', '--seconds', isQuick ? '0.5' : '5', ...models],
  },
  /** Every kernel alone, on the shapes of the networks. */
  kernels: {
    script: 'scripts/bench/kernels.mjs',
    args: ({ models, isQuick }) => ['--json', '--ms', isQuick ? '2' : '60', ...models],
  },
  /** Instructions of the arm64 addon, counted under qemu. */
  armCount: {
    script: 'scripts/arm/count.mjs',
    args: ({ models }) => [...zooOf(models, 'mobilenet_v1', 'mobilenet_v2', 'resnet18')],
  },
  /** The same of 8-bit files, on a Cortex-A76 and a Cortex-A72. */
  armBytes: {
    script: 'scripts/arm/count.mjs',
    args: () => withNetworks(['--engines', 'gapcam', '--cpu', 'cortex-a76,cortex-a72'], eightBitFiles('.onnx')),
  },
  /** The same in half precision. */
  armHalf: {
    script: 'scripts/arm/count.mjs',
    args: ({ models }) =>
      withNetworks(['--engines', 'gapcam', '--precision', 'fp16'], zooOf(models, 'mobilenet_v2', 'resnet18')),
  },
  /** Bounds of the arm64 hot loops, by llvm-mca. */
  armMca: { script: 'scripts/arm/mca.mjs', args: () => [] },
}
