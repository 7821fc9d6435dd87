/** Checks the board: temperature, throttling, supply, free memory, and faults in the kernel's log. */
import { createBoardReader } from '../board.js'
import { checksOf, type Check, type Examination } from './check.js'
import { findFaults, readKernelLog } from './kernel-log.js'

const { ok, warn, fail, skip } = checksOf('board')
/** Temperatures of the SoC, °C: above `hotC` boards throttle. */
const [warmC, hotC] = [75, 85]

/** The checks of the area `board`, and the kernel's faults under the area that each one affects. */
export const examineBoard: Examination = async ({ root, stateFolder }) => {
  const reader = createBoardReader({ root, stateDirectory: stateFolder })
  const [model, { soc_c, throttled, throttled_since_boot, undervoltage, undervoltage_since_boot, mem_available_mb }] =
    await Promise.all([reader.model(), reader.read()])
  const supplyFix = 'Use the power supply made for the board, and a short, thick cable.'
  const heatFix = 'Add a heat sink or a fan, and keep the board out of the sun.'
  return [
    model === undefined ? skip('board', 'the kernel does not know the name of this board') : ok('board', model),
    soc_c === undefined
      ? skip('temperature', 'no temperature sensor of the processor can be read')
      : soc_c >= hotC
        ? fail('temperature', `${soc_c} °C, at which the processor slows down`, heatFix)
        : soc_c >= warmC
          ? warn('temperature', `${soc_c} °C`, heatFix)
          : ok('temperature', `${soc_c} °C`),
    throttled === undefined
      ? skip('throttling', 'this board does not report it')
      : throttled
        ? fail('throttling', 'the clock of the processor is reduced now', heatFix)
        : throttled_since_boot
          ? warn('throttling', 'the clock of the processor was reduced at some time since boot', heatFix)
          : ok('throttling', 'none since boot'),
    undervoltage === undefined
      ? skip('supply', 'this board does not report it')
      : undervoltage
        ? fail('supply', 'the supply voltage is too low now', supplyFix)
        : undervoltage_since_boot
          ? warn('supply', 'the supply voltage was too low at some time since boot', supplyFix)
          : ok('supply', 'good since boot'),
    ...(mem_available_mb === undefined
      ? []
      : [
          mem_available_mb < 100
            ? warn('free memory', `${mem_available_mb} MB available`, 'Stop other programs, or use a smaller model.')
            : ok('free memory', `${mem_available_mb} MB available`),
        ]),
    ...(await kernel(root)),
  ]
}

async function kernel(root: string): Promise<Check[]> {
  const log = await readKernelLog(root)
  if ('why' in log) return [skip('kernel log', `${log.why}; sudo gapcam doctor can read it`)]
  const faults = findFaults(log.text)
  if (faults.length === 0) return [ok('kernel log', 'no faults of cameras, supply, heat, memory or disk')]
  return faults.map(({ area, name, cause, fix, lines }) =>
    checksOf(area).warn(
      `kernel: ${name}`,
      `${cause} (${lines.length} ${lines.length === 1 ? 'line' : 'lines'}, the last: ${lines.at(-1)!.trim().slice(0, 160)})`,
      fix,
    ),
  )
}
