/** Runs the examinations of all areas in order. An area that fails does not stop the others. */
import { messageOf } from '../errors.js'
import { examineBoard } from './board.js'
import { examineBroker } from './broker.js'
import { examineCameras } from './cameras.js'
import { checksOf, type Area, type Check, type DoctorContext, type Examination } from './check.js'
import { examineClock } from './clock.js'
import { examineDisk } from './disk.js'
import { examineHomeAssistant } from './homeassistant.js'
import { examineModel } from './model.js'
import { examineProgram } from './program.js'

export { exitStatusOf, type Check, type DoctorContext, type Verdict } from './check.js'

const examinations: readonly (readonly [Area, Examination])[] = [
  ['program', examineProgram],
  ['disk', examineDisk],
  ['clock', examineClock],
  ['board', examineBoard],
  ['model', examineModel],
  ['camera', examineCameras],
  ['broker', examineBroker],
  ['home assistant', examineHomeAssistant],
]

/**
 * Runs all checks. `onChecks` gets those of each area when they are done; the promise resolves with all of them and never
 * rejects.
 *
 *     const checks = await examine(context, (some) => print(some))
 *     process.exitCode = exitStatusOf(checks)
 */
export async function examine(
  context: DoctorContext,
  onChecks: (checks: readonly Check[]) => void,
): Promise<readonly Check[]> {
  const all: Check[] = []
  for (const [area, examination] of examinations) {
    if (context.signal.aborted) break
    const checks = await examination(context).catch((error: unknown) => [
      checksOf(area).fail(
        area,
        `the check itself failed: ${messageOf(error)}`,
        'This is a bug in gapcam. Please report it with scripts/board/report.mjs.',
      ),
    ])
    onChecks(checks)
    all.push(...checks)
  }
  return all
}
