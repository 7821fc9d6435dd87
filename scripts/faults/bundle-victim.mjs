// Installs, confirms and rolls back two bundles in turn until it is killed; bundles.mjs starts it. Lines on stdout: `ready`,
// `+ CHANGE` for each that was completed, `! FAULT`.
import { installBundle } from '../../dist/bundle/install.js'
import { confirmed, rolledBack } from '../../dist/bundle/phases.js'
import { openBundleStore } from '../../dist/bundle/store.js'

const [, , folder, ...bundles] = process.argv
const store = openBundleStore(folder)
const say = (line) => process.stdout.write(`${line}\n`)
const change = (make) => store.alone(() => store.replace('small', make(store.entries().small)))

say('ready')
for (let i = 0; ; i++) {
  try {
    const serving = store.entries().small?.serving?.version
    const file = bundles.find((bundle) => !bundle.endsWith(`${serving}.gapcam`))
    await installBundle(file, {
      store,
      trust: { keys: [], revoked: [] },
      origin: 'local',
      isShadow: i % 3 === 0,
      engine: {},
    })
    say(`+ install ${i}`)
    await change((entry) => confirmed(entry, 'small'))
    say(`+ confirm ${i}`)
    if (i % 2 === 0 && store.entries().small?.other) await change((entry) => rolledBack(entry, 'small', false, null))
    say(`+ roll back ${i}`)
  } catch (error) {
    // A kill between two steps leaves a phase in which the next one is not possible: go on with the other.
    if (error.code === 'BUNDLE_STATE') await change((entry) => confirmed(entry, 'small')).catch(() => undefined)
    else say(`! ${error.message}`)
  }
}
