// npm start: sets up what is missing, then runs gapcam in this process. Arguments go to `gapcam run`.
import { realpathSync } from 'node:fs'
import process from 'node:process'
import { fileURLToPath } from 'node:url'

const major = Number(process.versions.node.split('.')[0])

async function start() {
  const { setUp, stopSetUp } = await import('./setup.mjs')
  let status = 0
  const stop = (signal) => {
    status = signal === 'SIGINT' ? 130 : 143
    stopSetUp(signal)
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  try {
    await setUp()
  } catch (error) {
    if (status === 0) console.error(`gapcam: ${error.message}`)
    process.exitCode = status || 1
    return
  }
  const { load } = await import('../dist/cli/program.js')
  const run = await load(['run', ...process.argv.slice(2)])
  if (status !== 0) {
    process.exitCode = status
    return
  }
  // `run` installs gapcam's signal handlers before it returns, so no signal is lost between the two.
  const ended = run()
  process.off('SIGINT', stop)
  process.off('SIGTERM', stop)
  await ended
}

if (major < 20) {
  console.error(`gapcam needs Node.js 20 or newer; this is ${process.version}.`)
  process.exitCode = 2
} else if (realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) await start()
