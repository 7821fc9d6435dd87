/** The board under load: temperature, throttling, supply; and what the kernel has complained of. */
import { createBoardReader } from '../board.js'
import { checksOf, type Check, type Examination } from './check.js'
import { findFaults, readKernelLog } from './kernel-log.js'

const { ok, warn, fail, skip } = checksOf('board')
const [warmC, hotC] = [75, 85]

export const examineBoard: Examination = async ({ root, stateFolder }) => {
  const reader = createBoardReader({ root, stateDirectory: stateFolder })
  const [model, { soc_c, throttled, throttled_since_boot, undervoltage, undervoltage_since_boot, mem_available_mb }] =
    await Promise.all([reader.model(), reader.read()])
  const supplyFix = 'Use the supply made for the board and a short thick cable.'
  const heatFix = 'Fit a heat sink or a fan; keep the board out of the sun.'
  return [
    model === undefined ? skip('board', 'nothing says what board this is') : ok('board', model),
    soc_c === undefined
      ? skip('temperature', 'no sensor of the processor is readable')
      : soc_c >= hotC
        ? fail('temperature', `${soc_c} °C: it slows down`, heatFix)
        : soc_c >= warmC
          ? warn('temperature', `${soc_c} °C`, heatFix)
          : ok('temperature', `${soc_c} °C`),
    throttled === undefined
      ? skip('throttling', 'this board does not say')
      : throttled
        ? fail('throttling', 'the clock is held down now', heatFix)
        : throttled_since_boot
          ? warn('throttling', 'the clock was held down since the start', heatFix)
          : ok('throttling', 'none since the start'),
    undervoltage === undefined
      ? skip('supply', 'this board does not say')
      : undervoltage
        ? fail('supply', 'the supply is too weak now', supplyFix)
        : undervoltage_since_boot
          ? warn('supply', 'the supply was too weak since the start', supplyFix)
          : ok('supply', 'good since the start'),
    ...(mem_available_mb === undefined
      ? []
      : [
          mem_available_mb < 100
            ? warn('free memory', `${mem_available_mb} MB can be had`, 'End other programs, or use a smaller model.')
            : ok('free memory', `${mem_available_mb} MB can be had`),
        ]),
    ...(await kernel(root)),
  ]
}

async function kernel(root: string): Promise<Check[]> {
  const log = await readKernelLog(root)
  if ('why' in log) return [skip('kernel log', `${log.why}; sudo gapcam doctor reads it`)]
  const faults = findFaults(log.text)
  if (faults.length === 0) return [ok('kernel log', 'nothing about cameras, supply, heat, memory or disk')]
  // Each under the area that it is the cause of.
  return faults.map(({ area, name, cause, fix, lines }) =>
    checksOf(area).warn(
      `kernel: ${name}`,
      `${cause} (${lines.length} lines, the last: ${lines.at(-1)!.trim().slice(0, 160)})`,
      fix,
    ),
  )
}
