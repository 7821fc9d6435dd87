/**
 * The fallback executor: onnxruntime-node in a worker thread. Its `create` and `run` block the event loop that calls
 * them, and a process that exits in the middle of a run aborts. Tensors lie in memory shared with the worker.
 */
import { Worker } from 'node:worker_threads'
import { GapcamError } from '../errors.js'
import type { TensorInfo } from '../tensor.js'
import type { Engine, EngineDescription, EngineTensor, Rejection } from './engine.js'
import type { Reply, Request } from './onnxruntime-worker.js'
import { sharedTensor } from './shared-tensor.js'

export interface OnnxruntimeOptions {
  /** A file name (external data lies beside the file), or the bytes of a rewritten copy. */
  readonly model: string | Uint8Array
  /** Inputs with fixed sizes, in the file's order. */
  readonly inputs: readonly TensorInfo[]
  /** Names of the outputs to compute; default all. */
  readonly outputs?: readonly string[] | undefined
  readonly hasOpenOutputs?: boolean | undefined
  /** Fills the inputs for the first run, which tells the sizes of the outputs; default zeros. */
  readonly fill?: ((inputs: readonly EngineTensor[]) => void) | undefined
  readonly threads: number
  readonly reason: string
  readonly rejected: readonly Rejection[]
}

/** Opens a model. Rejects with ENGINE_UNAVAILABLE if onnxruntime-node cannot be loaded or refuses the model. */
export async function openOnnxruntime(options: OnnxruntimeOptions): Promise<Engine> {
  // A worker does not start if it inherits flags such as --input-type or --eval.
  const worker = new Worker(new URL('../../dist/engine/onnxruntime-worker.js', import.meta.url), {
    name: 'onnxruntime',
    execArgv: [],
  })
  const channel = new Channel(worker)
  const inputs = options.inputs.map(sharedTensor)
  options.fill?.(inputs)
  try {
    const opened = await channel.ask({
      kind: 'open',
      model: options.model,
      threads: options.threads,
      inputs,
      outputs: options.outputs,
      hasOpenOutputs: options.hasOpenOutputs === true,
    })
    if (opened.kind !== 'opened')
      throw new TypeError(`Expected opened for a reply but received ${opened.kind} of type string`)
    return new OnnxruntimeEngine(channel, inputs, opened.outputs, options)
  } catch (error) {
    await channel.end()
    throw error
  }
}

class OnnxruntimeEngine implements Engine {
  readonly inputs: readonly EngineTensor[]
  readonly outputs: readonly EngineTensor[]
  readonly #channel: Channel
  readonly #options: OnnxruntimeOptions
  #running: Promise<unknown> = Promise.resolve()

  constructor(
    channel: Channel,
    inputs: readonly EngineTensor[],
    outputs: readonly EngineTensor[],
    options: OnnxruntimeOptions,
  ) {
    this.#channel = channel
    this.inputs = inputs
    this.outputs = outputs
    this.#options = options
  }

  async run(): Promise<void> {
    const run = this.#channel.ask({ kind: 'run' })
    this.#running = run.catch(() => undefined)
    await run
  }

  describe(): EngineDescription {
    const { threads, reason, rejected } = this.#options
    return { engine: 'onnxruntime', target: 'cpu', threads, reason, rejected }
  }

  async close(): Promise<void> {
    await this.#running
    await this.#channel.end()
  }
}

interface Waiting {
  readonly resolve: (reply: Reply) => void
  readonly reject: (error: Error) => void
}

/** Sends one request at a time to the worker. The worker keeps the process alive only while a reply is pending. */
class Channel {
  readonly #worker: Worker
  readonly #exited: Promise<void>
  #waiting: Waiting | null = null
  #ended = false

  constructor(worker: Worker) {
    this.#worker = worker
    this.#exited = new Promise((resolve) => worker.once('exit', () => resolve()))
    worker.on('message', (reply: Reply) => this.#settle(reply))
    worker.on('error', (error) => this.#fail(`onnxruntime: ${error.message}`))
    worker.once('exit', () => this.#fail('onnxruntime: its worker thread has ended'))
    worker.unref()
  }

  ask(request: Request): Promise<Reply> {
    if (this.#ended) return Promise.reject(new GapcamError('ENGINE_FAILED', 'onnxruntime: the engine is closed'))
    if (this.#waiting)
      return Promise.reject(
        new TypeError('Expected one run at a time for engine.run but received another of type call'),
      )
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject }
      this.#worker.ref()
      this.#worker.postMessage(request)
    })
  }

  /** Asks the worker to finish and waits until its thread has ended. */
  async end(): Promise<void> {
    if (!this.#ended) {
      this.#ended = true
      this.#worker.ref()
      this.#worker.postMessage({ kind: 'close' } satisfies Request)
    }
    await this.#exited
  }

  #settle(reply: Reply): void {
    const waiting = this.#take()
    if (reply.kind === 'failed') waiting?.reject(new GapcamError(reply.code, `onnxruntime: ${reply.message}`))
    else waiting?.resolve(reply)
  }

  #fail(message: string): void {
    this.#ended = true
    this.#take()?.reject(new GapcamError('ENGINE_FAILED', message))
  }

  #take(): Waiting | null {
    const waiting = this.#waiting
    this.#waiting = null
    if (!this.#ended) this.#worker.unref()
    return waiting
  }
}
