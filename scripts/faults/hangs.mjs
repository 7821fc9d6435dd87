// Measures the time from a hang to the end of the program with the default settings: ptrace stops a thread of gapcam,
// as in test/service/hang.test.ts.
//   node scripts/faults/hangs.mjs
import { spawn } from 'node:child_process'
import { readFileSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../../', import.meta.url))

async function measure(name, thread) {
  const args = ['run', 'test://', '--threads', '1', '--broker', 'none', '--json']
  const run = spawn(process.execPath, [`${root}dist/cli/main.js`, ...args], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  run.stderr.on('data', (chunk) => {
    said += chunk
  })
  const ended = new Promise((resolve) => run.on('exit', (status) => resolve({ status, ms: performance.now() })))
  await new Promise((resolve) => run.stdout.once('data', resolve))
  const tasks = readdirSync(`/proc/${run.pid}/task`).filter(
    (task) => readFileSync(`/proc/${run.pid}/task/${task}/comm`, 'utf8').trim() === thread,
  )
  const holder = spawn(
    'python3',
    [`${root}test/service/hold-thread.py`, thread === 'main' ? String(run.pid) : tasks[0]],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  await new Promise((resolve) => holder.stdout.once('data', resolve))
  const start = performance.now()
  const { status, ms } = await ended
  console.log(
    JSON.stringify({
      hang: name,
      status,
      seconds: Math.round((ms - start) / 100) / 10,
      said: said.trim().split('\n').at(-1),
    }),
  )
}

await measure('inference', 'gapcam session')
await measure('main thread', 'main')
