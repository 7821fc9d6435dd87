/** Checks the program itself: Node, the native addon, the processor, memory. */
import { totalmem } from 'node:os'
import { loadAddon } from '../addon.js'
import { checksOf, type Check, type Examination } from './check.js'

const { ok, warn, fail } = checksOf('program')
const leastNode = [20, 9] as const
/** The shipped model needs about 150 MB. With less total memory than this the system begins to swap. */
const leastMemory = 450e6

/** The checks of the area `program`. */
export const examineProgram: Examination = async () => [node(), ...addon(), memory()]

function node(): Check {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
  const isEnough = major > leastNode[0] || (major === leastNode[0] && minor >= leastNode[1])
  const evidence = `Node ${process.version} on ${process.platform}-${process.arch}`
  return isEnough
    ? ok('node', evidence)
    : fail(
        'node',
        `${evidence}, but gapcam needs ${leastNode.join('.')} or newer`,
        'Install Node 22 or newer, for example from nodesource.com.',
      )
}

function addon(): Check[] {
  const loaded = loadAddon()
  if ('reason' in loaded)
    return [
      warn(
        'addon',
        `${loaded.reason}; models run on onnxruntime, and V4L2 cameras do not work`,
        'Run npm run build (it needs g++ and cmake), or install the package again.',
      ),
    ]
  const targets = loaded.addon.describeTargets()
  const [best] = targets.filter(({ supported }) => supported)
  const others = targets
    .filter((target) => target !== best)
    .map(({ name, reason, supported }) => `${name}${supported ? '' : `: ${reason}`}`)
  const forced = process.env['GAPCAM_TARGET']
  const processor = `the kernels for ${best?.name ?? 'no target'} are used${others.length > 0 ? ` (others: ${others.join('; ')})` : ''}`
  if (forced !== undefined && forced !== best?.name)
    return [
      ok('addon', 'loads'),
      warn(
        'processor',
        `GAPCAM_TARGET forces ${forced}, although ${best?.name ?? 'no target'} is the best one here`,
        'Unset GAPCAM_TARGET.',
      ),
    ]
  return [
    ok('addon', 'loads'),
    best?.name === 'scalar'
      ? warn(
          'processor',
          processor,
          'Expect it to be many times slower. Use a processor with AVX2, or a 64-bit system on Arm.',
        )
      : ok('processor', processor),
  ]
}

function memory(): Check {
  const total = totalmem()
  const evidence = `${Math.round(total / 1e6)} MB of memory`
  return total < leastMemory
    ? warn('memory', evidence, 'Use a smaller model, or --engine native, which needs the least memory.')
    : ok('memory', evidence)
}
