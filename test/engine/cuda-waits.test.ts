/** The waits of the CUDA engine after faults, with a session that fails on demand and a clock that the test sets. */
import { expect, it } from 'vitest'
import type { CudaSession } from '../../src/addon.js'
import { CudaEngine } from '../../src/engine/cuda.js'
import type { Engine, EngineTensor } from '../../src/engine/engine.js'

function tensor(values: number[]): EngineTensor & { readonly data: Float32Array } {
  return {
    name: 'x',
    type: 'float32',
    layout: 'none',
    shape: [values.length],
    data: Float32Array.from(values),
    inFileOrder: true,
  }
}

/** An engine that doubles its input. The GPU does it unless `gpu.next` says otherwise; the CPU always does. */
function engine(): {
  cuda: CudaEngine
  gpu: { tries: number; next: 'right' | 'fails' | 'infinite' }
  clock: { ms: number }
  faults: string[]
  off: { why: string | null }
} {
  const [gpu, clock, off] = [
    { tries: 0, next: 'right' as 'right' | 'fails' | 'infinite' },
    { ms: 0 },
    { why: null as string | null },
  ]
  const faults: string[] = []
  const [input, output] = [tensor([1, 2]), tensor([0, 0])]
  const cpuInput = tensor([0, 0])
  const cpuOutput = tensor([0, 0])
  const cpu = {
    inputs: [cpuInput],
    outputs: [cpuOutput],
    close: async () => undefined,
    run: async () => cpuOutput.data.set(cpuInput.data.map((value) => value * 2)),
    describe: () => ({ engine: 'native', target: 'neon', threads: 4, reason: 'covers the whole model', rejected: [] }),
  } as unknown as Engine
  const session = {
    inputs: [input],
    outputs: [output],
    close: async () => undefined,
    run: async () => {
      gpu.tries++
      output.data.fill(gpu.next === 'infinite' ? Infinity : 99)
      if (gpu.next === 'fails') throw new Error('cuGraphLaunch failed')
      if (gpu.next === 'right') output.data.set(input.data.map((value) => value * 2))
    },
  } as unknown as CudaSession
  const facts = {
    device: 'none',
    generation: 'sm_87',
    precision: 'fp16',
    driver: '12.6',
    kernels: 'sm_87.cubin',
    selfTest: 0,
    measured: null,
  } as const
  const cuda = new CudaEngine({
    session,
    cpu,
    addon: { cudaOff: () => off.why },
    facts,
    reason: 'asked for',
    rejected: [],
    onFault: (sentence) => faults.push(sentence),
    clock: { now: () => clock.ms, wall: () => clock.ms },
  })
  return { cuda, gpu, clock, faults, off }
}

it('the wait doubles from 0.1 s to a minute, and a success resets it', async () => {
  const { cuda, gpu, clock, faults } = engine()
  gpu.next = 'fails'
  const waits: number[] = []
  for (let fault = 0; fault < 12; fault++) {
    const since = clock.ms
    await cuda.run()
    const { tries } = gpu
    while (gpu.tries === tries && clock.ms - since < 100_000) {
      clock.ms += 50
      // The first frame after the wait is the next fault.
      if (clock.ms - since >= Math.min(100 * 2 ** fault, 60_000)) break
      await cuda.run()
      expect(cuda.describe()).toMatchObject({ engine: 'native', target: 'neon', cuda: { state: 'waiting' } })
    }
    expect(gpu.tries).toBe(fault + 1)
    waits.push(clock.ms - since)
    expect([...(cuda.outputs[0]!.data as Float32Array)]).toEqual([2, 4])
  }
  expect(waits).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000])
  expect(faults).toHaveLength(12)
  gpu.next = 'right'
  await cuda.run()
  expect(cuda.describe()).toMatchObject({
    engine: 'cuda',
    target: 'sm_87-fp16',
    cuda: { state: 'serving', faults: 12, retries: 12, restartWanted: false },
  })
  gpu.next = 'fails'
  await cuda.run()
  clock.ms += 100
  await cuda.run()
  expect(cuda.describe().cuda).toMatchObject({ faults: 14, retries: 13 })
})

it('an output that is not finite is a fault, and the CPU computes the frame', async () => {
  const { cuda, gpu, faults } = engine()
  gpu.next = 'infinite'
  await cuda.run()
  expect([...(cuda.outputs[0]!.data as Float32Array)]).toEqual([2, 4])
  expect(cuda.describe()).toMatchObject({
    engine: 'native',
    cuda: { faults: 1, framesOnCpu: 1, lastFault: 'an output in fp16 is not finite' },
  })
  expect(faults).toEqual(['CUDA: an output in fp16 is not finite; the CPU computes this frame'])
})

it('the GPU is never tried again after CUDA is off', async () => {
  const { cuda, gpu, clock, off } = engine()
  gpu.next = 'fails'
  off.why = 'lost'
  await cuda.run()
  gpu.next = 'right'
  clock.ms += 1e9
  await cuda.run()
  expect(gpu.tries).toBe(1)
  expect(cuda.describe()).toMatchObject({
    engine: 'native',
    reason: expect.stringMatching(/^CUDA is off until a restart/),
    cuda: { state: 'off', restartWanted: true, framesOnCpu: 2 },
  })
})
