// Analyses the hot loops of the arm64 addon: what they consist of, and their speed in a model of the cores.
//
//   node scripts/arm/mca.mjs [--addon FILE] [--no-model]
//
// Prints a list of { kernel, compiler, core, fmla, instructionsPerFmla, fmlaBoundPercent } as JSON, one row per loop
// and core. fmlaBoundPercent is the time of the loop's FMLA alone, divided by the time of the whole loop. The times
// come from llvm-mca (LLVM 19), which assumes that every load hits the first-level cache: estimates, not measurements.
// A Cortex-A76 is LLVM's neoverse-n1; a Cortex-A72 is modelled as a Cortex-A57, as LLVM does. --no-model only counts
// instructions. The default addon is that of `node scripts/build-native.mjs --arch arm64`.
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { compilerOf, hotLoops } from './loops.mjs'

const { values: options } = parseArgs({
  options: {
    addon: {
      type: 'string',
      default: fileURLToPath(new URL('../../prebuilds/linux-arm64/gapcam.node', import.meta.url)),
    },
    'no-model': { type: 'boolean', default: false },
  },
})
const cores = { 'Cortex-A76': 'neoverse-n1', 'Cortex-A72': 'cortex-a57' }

/** Cycles of one round of a loop in the model. */
function cycles(instructions, cpu) {
  const rounds = 200
  const text = instructions.map(
    ({ mnemonic, operands }) => `${mnemonic} ${operands.replace(/[0-9a-f]+ <.*>$/, 'loop')}`,
  )
  const { stdout, stderr, error, status } = spawnSync(
    'llvm-mca-19',
    ['-mtriple=aarch64', `-mcpu=${cpu}`, `-iterations=${rounds}`],
    { input: `loop:\n${text.join('\n')}\n`, encoding: 'utf8' },
  )
  if (error?.code === 'ENOENT') throw new Error('llvm-mca-19 is missing: apt-get install llvm-19, or give --no-model')
  const total = /Total Cycles: +(\d+)/.exec(stdout)
  if (status !== 0 || !total) throw new Error(`llvm-mca: ${stderr}`)
  return Number(total[1]) / rounds
}

function rowsOf({ kernel, instructions, fmla }, compiler) {
  const counted = {
    kernel,
    compiler,
    fmla,
    instructionsPerFmla: Math.round((instructions.length / fmla) * 1000) / 1000,
  }
  if (options['no-model']) return [counted]
  const alone = instructions.filter(({ mnemonic }) => mnemonic === 'fmla')
  return Object.entries(cores).map(([core, cpu]) => ({
    ...counted,
    core,
    fmlaBoundPercent: Math.round((cycles(alone, cpu) / cycles(instructions, cpu)) * 1000) / 10,
  }))
}

try {
  if (!existsSync(options.addon))
    throw new Error(`${options.addon} is missing: run node scripts/build-native.mjs --arch arm64`)
  const compiler = compilerOf(options.addon)
  const rows = hotLoops(options.addon).flatMap((loop) => rowsOf(loop, compiler))
  for (const { kernel, core = '', fmla, instructionsPerFmla, fmlaBoundPercent } of rows) {
    const bound =
      fmlaBoundPercent === undefined ? '' : `  ${fmlaBoundPercent.toFixed(0).padStart(3)} % of the FMLA bound`
    const counts = `${String(fmla).padStart(3)} FMLA  ${instructionsPerFmla.toFixed(2)} instructions each`
    console.error(`${kernel.padEnd(36)} ${core.padEnd(11)} ${counts}${bound}`)
  }
  console.log(JSON.stringify(rows))
} catch (error) {
  console.error(`arm-mca: ${error.message}`)
  process.exitCode = 1
}
