// Fuzzes the plan reader and executor with libFuzzer under AddressSanitizer and UndefinedBehaviorSanitizer.
//
//   node scripts/fuzz/plan.mjs [--seconds 60] [--seed 1] [--jobs 1]   from the kept corpus, native/fuzz/corpus
//   node scripts/fuzz/plan.mjs --renew                                makes the kept corpus anew: plans of ONNX's node tests, of the
//                                                                     fixtures and of what was found in build-fuzz/found, the fewest
//                                                                     and smallest that cover what all of them cover
//
// The exit status is 1 after a finding; build-fuzz then holds the input. Needs clang with libFuzzer (Debian:
// apt-get install clang libclang-rt-14-dev). npm test runs the kept corpus and changes of it without clang, in the native runners.
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { compilePlan } from '../../dist/model/compile.js'
import { loadModel } from '../../dist/model/load.js'
import { serializePlan } from '../../dist/model/plan.js'
import { prepareGraph } from '../../dist/model/prepare.js'
import { fetchOnnxTests } from '../fetch/onnx-tests.mjs'

const root = fileURLToPath(new URL('../../', import.meta.url))
const build = join(root, 'build-fuzz')
const corpus = join(root, 'native/fuzz/corpus')
const found = join(build, 'found')
const mostBytes = 65536
const { values: options } = parseArgs({
  options: {
    seconds: { type: 'string', default: '60' },
    seed: { type: 'string', default: '1' },
    jobs: { type: 'string', default: '1' },
    renew: { type: 'boolean', default: false },
  },
})

function must(command, args) {
  const { status, error } = spawnSync(command, args, {
    cwd: build,
    stdio: ['ignore', 2, 2],
    env: { ...process.env, UBSAN_OPTIONS: 'halt_on_error=1:print_stacktrace=1' },
  })
  if (error) throw new Error(`${command} cannot be run: ${error.message}`)
  if (status !== 0) throw new Error(`${command} ended with status ${status}`)
}

function buildFuzzer() {
  if (!existsSync('/usr/bin/clang++')) throw new Error('clang++ is missing: apt-get install clang libclang-rt-14-dev')
  mkdirSync(found, { recursive: true })
  must('cmake', [
    '-S',
    root,
    '-B',
    build,
    '-DGAPCAM_ADDON=OFF',
    '-DCMAKE_CXX_COMPILER=clang++',
    '-DGAPCAM_FUZZ=ON',
    '-DGAPCAM_SANITIZE=address,undefined',
  ])
  must('cmake', ['--build', build, '--target', 'plan_fuzz', '-j2'])
}

/** Small model files of many kinds. */
function models() {
  if (!fetchOnnxTests()) throw new Error("ONNX's node tests could not be fetched")
  const tests = join(root, '.cache/onnx-node-tests')
  const exporters = join(root, 'test/fixtures/exporters')
  return [
    ...readdirSync(tests)
      .map((name) => join(tests, name, 'model.onnx'))
      .filter((file) => existsSync(file)),
    ...readdirSync(exporters)
      .filter((name) => name.endsWith('.onnx'))
      .map((name) => join(exporters, name)),
    ...['convnet-gap', 'convnet-flatten'].map((name) => join(root, `models/${name}.onnx`)),
  ]
}

/** A model's plan as bytes, or null if the native engine does not cover it. */
async function planOf(file) {
  try {
    const { graph } = await loadModel(file)
    for (const inputSize of [undefined, { height: 32, width: 32 }]) {
      const compiled = compilePlan(prepareGraph(graph, inputSize ? { inputSize } : {}), {})
      if ('plan' in compiled) return serializePlan(compiled.plan)
    }
  } catch {
    // Unreadable files are no seeds.
  }
  return null
}

async function renew() {
  const seeds = mkdtempSync(join(tmpdir(), 'gapcam-seeds-'))
  try {
    for (const [i, file] of models().entries()) {
      const plan = await planOf(file)
      if (plan && plan.byteLength <= mostBytes) writeFileSync(join(seeds, `${i}`), plan)
    }
    const kept = mkdtempSync(join(tmpdir(), 'gapcam-corpus-'))
    must(
      join(build, 'plan_fuzz'),
      ['-merge=1', `-max_len=${mostBytes}`, kept, seeds, corpus, found].filter(
        (folder) => !folder.startsWith('/') || existsSync(folder),
      ),
    )
    rmSync(corpus, { recursive: true, force: true })
    mkdirSync(corpus)
    for (const name of readdirSync(kept)) must('cp', [join(kept, name), join(corpus, name.slice(0, 12))])
    rmSync(kept, { recursive: true })
  } finally {
    rmSync(seeds, { recursive: true })
  }
  const sizes = readdirSync(corpus).map((name) => statSync(join(corpus, name)).size)
  console.error(`${sizes.length} plans of ${sizes.reduce((sum, size) => sum + size, 0)} bytes in ${corpus}`)
}

try {
  buildFuzzer()
  if (options.renew) await renew()
  else
    must(join(build, 'plan_fuzz'), [
      `-max_total_time=${options.seconds}`,
      `-seed=${options.seed}`,
      `-fork=${options.jobs}`,
      `-max_len=${mostBytes}`,
      '-timeout=10',
      '-rss_limit_mb=1024',
      '-print_final_stats=1',
      found,
      corpus,
    ])
} catch (error) {
  console.error(`fuzz-plan: ${error.message}`)
  process.exitCode = 1
}
