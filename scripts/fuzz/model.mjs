// Fuzzes the readers of ONNX, TFLite and zip archives, and the compiler, with mutations of real files:
//
//   node scripts/fuzz/model.mjs [--seconds 60] [--seed 1] [FILE...]    FILE: small models, else ONNX's node tests and the fixtures
//   GAPCAM_WRITE_TFLITE=FOLDER npx vitest run test/model/fuzz.test.ts  writes small TFLite files and archives to take as FILE
//   node scripts/fuzz/model.mjs --case FILE:SEED                       one change alone, with its error's stack
//
// Each mutation must open or be refused with one sentence (a GapcamError). The native engine must accept each compiled plan.
// Nothing may take more than 2 s of processor time or 1 GB of memory. The exit status is 1 if something does not hold.
import { fork } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { loadAddon } from '../../dist/addon.js'
import { GapcamError } from '../../dist/errors.js'
import { compilePlan } from '../../dist/model/compile.js'
import { loadModel } from '../../dist/model/load.js'
import { serializePlan } from '../../dist/model/plan.js'
import { prepareGraph } from '../../dist/model/prepare.js'
import { isTflite } from '../../dist/model/tflite/model.js'
import { isZip } from '../../dist/model/archive.js'
import { mutate } from './onnx-mutator.mjs'
import { mutateWords } from './word-mutator.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const mostMs = 2000
const mostArena = 2 ** 24
const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    case: { type: 'string' },
  },
})

function files() {
  if (positionals.length > 0) return positionals
  const tests = join(root, '.cache/onnx-node-tests')
  const exporters = join(root, 'test/fixtures/exporters')
  return [
    ...readdirSync(exporters)
      .filter((name) => name.endsWith('.onnx'))
      .map((name) => join(exporters, name)),
    ...(existsSync(tests)
      ? readdirSync(tests)
          .map((name) => join(tests, name, 'model.onnx'))
          .filter(existsSync)
      : []),
  ]
}

/** Opens mutated bytes of a file as the program does. Returns the outcome; throws for an outcome that is a fault. */
async function open(addon, bytes, file) {
  let plan
  try {
    const { graph } = await loadModel(file, bytes)
    const compiled = compilePlan(prepareGraph(graph, {}), {})
    if (!('plan' in compiled)) return 'not covered'
    plan = compiled.plan
  } catch (error) {
    if (error instanceof GapcamError && !/\n/.test(error.message)) return 'refused'
    throw error
  }
  if (plan.arenaBytes > mostArena) return 'large'
  await addon.openSessionSync(serializePlan(plan), { threads: 1 }).close()
  return 'compiled'
}

async function one(file, seed) {
  const { addon, reason } = loadAddon()
  if (!addon) throw new Error(reason)
  const bytes = readFileSync(file)
  return open(addon, isTflite(bytes) || isZip(bytes) ? mutateWords(bytes, seed) : mutate(bytes, seed), file)
}

/** Child process: runs `count` seeds from `first` on over all files, and reports each one before it is tried. */
function child() {
  process.on('message', async ({ list, first, count }) => {
    for (let i = 0; i < list.length * count; i++) {
      const [file, seed] = [list[i % list.length], first + Math.floor(i / list.length)]
      process.send({ begins: file, seed })
      const before = process.cpuUsage()
      let outcome
      try {
        outcome = await one(file, seed)
      } catch (error) {
        process.send({ found: `${error.name}: ${error.message}`, file, seed })
        continue
      }
      const { user, system } = process.cpuUsage(before)
      const ms = (user + system) / 1000
      const rssMb = process.memoryUsage.rss() / 1e6
      if (ms > mostMs) process.send({ found: `took ${Math.round(ms)} ms of the processor`, file, seed })
      if (rssMb > 1000) process.send({ found: `the process has grown to ${Math.round(rssMb)} MB`, file, seed })
      process.send({ outcome })
    }
    process.send({ hasEnded: true })
  })
}

/** Seconds of the processor that a process has used, or null if it is gone. A busy machine does not add to them. */
function processorSeconds(pid) {
  try {
    const fields = readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').at(-1).split(' ')
    return (Number(fields[11]) + Number(fields[12])) / 100
  } catch {
    return null
  }
}

/**
 * Runs rounds until the time is over. A child that says nothing for 30 s of processor time, or for ten minutes, is ended and
 * counts as a finding.
 */
async function parent() {
  const list = files()
  const until = Date.now() + Number(options.seconds) * 1000
  const counts = {}
  const findings = []
  let processor = 0
  const note = (file, seed, what) => {
    findings.push(`${basename(dirname(file))}/${basename(file)}:${seed}  ${what}`)
    console.error(`found: ${file}:${seed}  ${what}`)
  }
  // A child costs a third of a second to start, so each one gets some hundred mutations.
  const count = Math.ceil(200 / list.length)
  for (let seed = Number(options.seed); Date.now() < until; seed += count) {
    await new Promise((resolve) => {
      let last = { file: list[0], seed }
      let silence = { since: Date.now(), processor: 0 }
      let used = 0
      const running = fork(fileURLToPath(import.meta.url), [], {
        env: { ...process.env, GAPCAM_FUZZ_CHILD: '1' },
        execArgv: ['--max-old-space-size=768'],
      })
      const timer = setInterval(() => {
        used = processorSeconds(running.pid) ?? used
        if (used - silence.processor < 30 && Date.now() - silence.since < 600_000) return
        note(last.file, last.seed, 'does not end')
        running.kill('SIGKILL')
      }, 1000)
      running.on('message', (message) => {
        silence = { since: Date.now(), processor: used }
        if (message.begins) last = { file: message.begins, seed: message.seed }
        if (message.found) note(message.file, message.seed, message.found)
        if (message.outcome) counts[message.outcome] = (counts[message.outcome] ?? 0) + 1
        if (message.hasEnded || Date.now() > until) {
          used = processorSeconds(running.pid) ?? used
          running.kill()
        }
      })
      running.on('exit', (code, signal) => {
        clearInterval(timer)
        processor += used
        if (signal !== 'SIGTERM' && signal !== 'SIGKILL') note(last.file, last.seed, `ended with ${signal ?? code}`)
        resolve()
      })
      running.send({ list, first: seed, count })
    })
  }
  console.log(
    JSON.stringify({
      seconds: Number(options.seconds),
      processorSeconds: Math.round(processor),
      files: list.length,
      ...counts,
      findings: findings.length,
    }),
  )
  process.exitCode = findings.length > 0 ? 1 : 0
}

if (process.env.GAPCAM_FUZZ_CHILD) child()
else if (options.case) {
  const cut = options.case.lastIndexOf(':')
  console.log(await one(options.case.slice(0, cut), Number(options.case.slice(cut + 1))))
} else await parent()
