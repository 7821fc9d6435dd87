// Runs a peer as a child process. stdin tells it how often to run, stdout carries its answers (see worker.py).
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { folder } from './install.mjs'

const script = (name) => fileURLToPath(new URL(name, import.meta.url))
const files = { ncnn: 'model', mnn: 'model.mnn', litert: 'model.tflite' }

/** Peers that open the 8-bit ONNX file of onnxruntime's quantiser. The others have a quantiser of their own, or none. */
const readsQuantizedOnnx = new Set(['gapcam', 'onnxruntime-node', 'onnxruntime', 'openvino'])
const readsTflite = new Set(['gapcam', 'litert', 'openvino'])

/**
 * The file that a peer opens: the model, a conversion, or the 8-bit version that the peer's own quantiser makes of it
 * (`kind` 'quantize'). A model of kind 'quantized' has 8 bits already and is opened as it is. Throws with the reason if the
 * peer cannot have one.
 */
export function modelFor(peer, model, kind, environments) {
  if (model.endsWith('.tflite')) {
    if (!readsTflite.has(peer)) throw new Error('it reads no .tflite file')
    return model
  }
  if (kind === 'quantized' && !readsQuantizedOnnx.has(peer)) throw new Error('its converter takes no quantised file')
  if (kind === 'quantize') {
    if (peer === 'ncnn') throw new Error('its package has no quantiser')
    const source = readsQuantizedOnnx.has(peer) ? model : converted(peer, model, environments)
    return quantized(readsQuantizedOnnx.has(peer) ? 'onnxruntime' : peer, source, environments)
  }
  return peer in files ? converted(peer, model, environments) : model
}

const converted = (peer, model, { python, converter }) =>
  made('convert.py', peer, model, files[peer], peer === 'litert' ? converter : python)

const quantized = (tool, model, { python }) =>
  made('eight-bits.py', tool, model, tool === 'onnxruntime' ? 'model.onnx' : files[tool], python)

/** The file that a Python program makes of a model, kept by content. Throws with the program's last line. */
function made(program, tool, model, name, python) {
  const key = createHash('sha256')
    .update(readFileSync(model))
    .update(readFileSync(script(program)))
    .digest('hex')
    .slice(0, 16)
  const target = `${folder}models/${key}-${tool}`
  if (!existsSync(target)) {
    mkdirSync(`${folder}models`, { recursive: true })
    const making = mkdtempSync(`${folder}models/making-`)
    const done = spawnSync(python, [script(program), tool, model, making], { encoding: 'utf8', maxBuffer: 2 ** 28 })
    if (done.status !== 0) throw new Error(`its ${program}: ${done.stderr.trim().split('\n').pop()}`)
    renameSync(making, target)
  }
  return `${target}/${name}`
}

/** Starts a peer; resolves when it has opened the model and run once. Rejects with the last line that it wrote to stderr. */
export async function startPeer(peer, { model, kind, threads, input, shape, type, environments }) {
  const args = [modelFor(peer, model, kind, environments), threads, input, shape, type].map(String)
  const isNode = peer === 'gapcam' || peer === 'onnxruntime-node'
  const command = isNode
    ? [process.execPath, script('worker.mjs'), peer]
    : [environments.python, script('worker.py'), peer]
  const child = spawn(command[0], [...command.slice(1), ...args], { stdio: ['pipe', 'pipe', 'pipe'] })
  let errors = ''
  child.stderr.on('data', (chunk) => {
    errors = (errors + chunk).slice(-4000)
  })
  child.stdin.on('error', () => undefined)
  const closed = new Promise((resolve) => child.on('close', resolve))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const reply = async () => {
    const { value, done } = await lines.next()
    if (!done) return JSON.parse(value)
    await closed
    throw new Error(errors.trim().split('\n').pop() || 'it ended without a word')
  }
  const opened = await reply()
  return {
    peer,
    ...opened,
    ask(order) {
      child.stdin.write(`${JSON.stringify(order)}\n`)
      return reply()
    },
    async stop() {
      child.stdin.end()
      const timer = setTimeout(() => child.kill('SIGKILL'), 5000)
      await closed
      clearTimeout(timer)
    },
  }
}
