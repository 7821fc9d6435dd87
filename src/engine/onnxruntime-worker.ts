/**
 * The worker thread that owns an onnxruntime session. It imports onnxruntime-node itself: a missing package becomes an
 * error reply instead of a crash of the program.
 */
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node'
import { parentPort } from 'node:worker_threads'
import { messageOf, type ErrorCode } from '../errors.js'
import { elementCount, type TensorData, type TensorType } from '../tensor.js'
import type { EngineTensor } from './engine.js'
import { openTensor, sharedTensor } from './shared-tensor.js'

export type Request =
  | {
      readonly kind: 'open'
      readonly model: string | Uint8Array
      readonly threads: number
      readonly inputs: readonly EngineTensor[]
      readonly outputs?: readonly string[] | undefined
      readonly hasOpenOutputs: boolean
    }
  | { readonly kind: 'run' }
  | { readonly kind: 'close' }

export type Reply =
  | { readonly kind: 'opened'; readonly outputs: readonly EngineTensor[] }
  | { readonly kind: 'done' }
  | { readonly kind: 'failed'; readonly code: ErrorCode; readonly message: string }

type Ort = typeof import('onnxruntime-node')

/** A session whose feeds are bound once. The first run creates the outputs, because only a run tells their shapes. */
interface Opened {
  readonly session: InferenceSession
  readonly feeds: Record<string, OrtTensor>
  readonly inputs: readonly EngineTensor[]
  outputs: readonly EngineTensor[]
}

let opened: Opened | null = null

/**
 * On x86 processors without VNNI, products of unsigned and signed 8-bit numbers saturate at 16 bits, and an 8-bit model loses
 * most of its accuracy (10 dB instead of 28 dB signal to noise for a MobileNetV2). This option makes onnxruntime use a
 * kernel that does not saturate; it is slower by a quarter. Other processors ignore it.
 */
const exactQuantization = { session: { x64quantprecision: '1' } }

async function open(request: Request & { kind: 'open' }): Promise<Reply> {
  const ort = await importOnnxruntime()
  const options: InferenceSession.SessionOptions = {
    intraOpNumThreads: request.threads,
    interOpNumThreads: 1,
    logSeverityLevel: 3,
    extra: exactQuantization,
  }
  const { model, inputs } = request
  const session = await (typeof model === 'string'
    ? ort.InferenceSession.create(model, options)
    : ort.InferenceSession.create(model, options))
  const feeds = Object.fromEntries(
    inputs.map((input) => [input.name, new ort.Tensor(input.type, privateCopy(input.data), input.shape)]),
  )
  opened = { session, feeds: feeds as Record<string, OrtTensor>, inputs, outputs: [] }
  for (const input of inputs) set(opened.feeds[input.name]?.data as TensorData, input.data)
  const names = request.outputs ?? session.outputNames
  const results = await session.run(opened.feeds, names)
  opened.outputs = names.map((name) => {
    const result = results[name]
    if (!result) throw new TypeError(`Expected a tensor for output ${name} but received nothing of type undefined`)
    const info = { name, type: result.type as TensorType, layout: 'none', shape: result.dims } as const
    return request.hasOpenOutputs ? openTensor(info) : sharedTensor(info)
  })
  return { kind: 'opened', outputs: opened.outputs }
}

async function run(): Promise<Reply> {
  if (!opened) throw new TypeError('run needs an open session, and this worker has none')
  for (const input of opened.inputs) set(opened.feeds[input.name]?.data as TensorData, input.data)
  const results = await opened.session.run(
    opened.feeds,
    opened.outputs.map(({ name }) => name),
  )
  for (const output of opened.outputs) {
    const result = results[output.name]!
    if (output.live) grow(output, result.dims)
    set(output.data, result.data as TensorData)
  }
  return { kind: 'done' }
}

/** Makes room for an output of these sizes. */
function grow({ name, data, live }: EngineTensor, sizes: readonly number[]): void {
  const length = elementCount(sizes)
  const memory = data.buffer as SharedArrayBuffer & { grow(bytes: number): void; readonly maxByteLength: number }
  const bytes = length * data.BYTES_PER_ELEMENT
  if (bytes > memory.maxByteLength) throw new RangeError(`output ${name} has ${length} elements, which are too many`)
  if (bytes > memory.byteLength) memory.grow(bytes)
  live!.set([length, sizes.length, ...sizes])
}

/** Copies elements of one type. Newer versions of Node give halves as Float16Array: then the bits are copied. */
function set(target: TensorData, source: TensorData): void {
  if (target.constructor === source.constructor) (target as Float32Array).set(source as Float32Array)
  else bytesOf(target).set(bytesOf(source))
}

const bytesOf = ({ buffer, byteOffset, byteLength }: TensorData): Uint8Array =>
  new Uint8Array(buffer, byteOffset, byteLength)

/** Private memory for a feed: onnxruntime does not accept shared memory, so each run copies the input (about 30 µs at 224 pixels). */
function privateCopy(data: TensorData): TensorData {
  const TypedArray = data.constructor as Float32ArrayConstructor
  return new TypedArray(data.length)
}

async function importOnnxruntime(): Promise<Ort> {
  const name = process.env['GAPCAM_ONNXRUNTIME'] ?? 'onnxruntime-node'
  const module = (await import(name)) as Ort & { default?: Ort }
  return module.default ?? module
}

async function answer(request: Request): Promise<void> {
  try {
    if (request.kind === 'close') {
      await opened?.session.release()
      parentPort?.close()
      return
    }
    parentPort?.postMessage(await (request.kind === 'open' ? open(request) : run()))
  } catch (error) {
    const code: ErrorCode = request.kind === 'open' ? 'ENGINE_UNAVAILABLE' : 'ENGINE_FAILED'
    parentPort?.postMessage({
      kind: 'failed',
      code,
      message: messageOf(error).split('\n')[0] ?? 'unknown',
    } satisfies Reply)
  }
}

parentPort?.on('message', (request: Request) => void answer(request))
