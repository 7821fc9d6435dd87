/** All that a field engineer would look at, area by area; one area's fault keeps no other from being looked at. */
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

/** Tells each area's checks as they come; resolves with all of them. Never rejects. */
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
        'That is a mistake of ours; please report it with scripts/board/report.mjs.',
      ),
    ])
    onChecks(checks)
    all.push(...checks)
  }
  return all
}
