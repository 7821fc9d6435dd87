// Runs a peer as a child process. stdin tells it how often to run, stdout carries its answers (see worker.py).
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { folder } from './install.mjs'

const script = (name) => fileURLToPath(new URL(name, import.meta.url))
const files = { ncnn: 'model', mnn: 'model.mnn', litert: 'model.tflite' }

/** The file that a peer opens: the model, or a conversion cached by content. Throws with the converter's last line. */
export function modelFor(peer, model, { python, converter }) {
  if (!(peer in files)) return model
  const key = createHash('sha256')
    .update(readFileSync(model))
    .update(readFileSync(script('convert.py')))
    .digest('hex')
    .slice(0, 16)
  const target = `${folder}models/${key}-${peer}`
  if (!existsSync(target)) {
    mkdirSync(`${folder}models`, { recursive: true })
    const making = mkdtempSync(`${folder}models/making-`)
    const done = spawnSync(peer === 'litert' ? converter : python, [script('convert.py'), peer, model, making], {
      encoding: 'utf8',
      maxBuffer: 2 ** 28,
    })
    if (done.status !== 0) throw new Error(`its converter: ${done.stderr.trim().split('\n').pop()}`)
    renameSync(making, target)
  }
  return `${target}/${files[peer]}`
}

/** Starts a peer; resolves when it has opened the model and run once. Rejects with the last line that it wrote to stderr. */
export async function startPeer(peer, { model, threads, input, shape, environments }) {
  const args = [modelFor(peer, model, environments), threads, input, shape].map(String)
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
