// What the trials with other programs share: a temporary folder, child processes, a broker, waiting, and lines of
// results.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort } from '../bench/loopback.mjs'

export const project = fileURLToPath(new URL('../../', import.meta.url))
export const photo = (name) => join(project, `models/photos/${name}.jpg`)

/** Removed at the end of `trial`. */
export const folder = mkdtempSync(join(tmpdir(), 'gapcam-try-'))
const children = new Set()
let [checks, failures] = [0, 0]

/** Starts a program; what it prints is in `child.said`. */
export function launch(program, args) {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PATH: `${process.env.PATH}:/usr/sbin` },
  })
  children.add(child)
  child.said = ''
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      child.said += chunk
    })
  child.on('error', (error) => {
    child.said += `${program}: ${error.message}`
  })
  return child
}

export async function end(child, signal = 'SIGTERM') {
  children.delete(child)
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill(signal)
  await once(child, 'exit')
}

/** The first true result of a condition; false when the time is over. */
export async function until(condition, seconds = 60) {
  const endMs = performance.now() + seconds * 1000
  for (;;) {
    const result = await Promise.resolve(condition()).catch(() => false)
    if (result) return result
    if (performance.now() > endMs) return false
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}

/** Prints one line with the result. A failed check makes the exit status 1. */
export function check(what, isRight, found = '') {
  checks++
  if (!isRight) failures++
  process.stdout.write(`${isRight ? 'ok    ' : 'FAILED'}  ${what}${found === '' ? '' : `: ${found}`}\n`)
}

/** mosquitto without persistence. `start` starts it, again after an end too. */
export async function makeBroker() {
  const port = await freePort()
  const file = join(folder, 'mosquitto.conf')
  writeFileSync(file, `listener ${port} 127.0.0.1\nallow_anonymous true\npersistence false\n`)
  return { port, url: `mqtt://127.0.0.1:${port}`, start: () => launch('mosquitto', ['-c', file]) }
}

/** `gapcam` of this checkout, as `npm run build` made it. */
export function gapcam(...args) {
  return launch(process.execPath, [join(project, 'dist/cli/main.js'), ...args])
}

/** Runs a trial, ends every child, removes the folder, and sets the exit status. */
export async function trial(run) {
  try {
    await run()
  } catch (error) {
    process.stderr.write(`${error.stack}\n`)
    failures++
  } finally {
    await Promise.all([...children].map((child) => end(child, 'SIGKILL')))
    rmSync(folder, { recursive: true, force: true })
  }
  process.stdout.write(`${checks} checks, ${failures} failed\n`)
  process.exitCode = failures > 0 ? 1 : 0
}
