/** One build of the addon works with every Node from 20 on, because it uses a stable Node-API. */
import { join } from 'node:path'
import { afterEach, expect, it } from 'vitest'
import { cleanEnvironment, cli, endAll, jsonLines, launch } from '../process.js'
import { projectRoot } from '../shared.js'

afterEach(endAll)

it.each([22, 24, 26])('Node %i classifies a picture on the native engine and on onnxruntime', async (major) => {
  const node = join(projectRoot, `.cache/tools/node_modules/node-${major}/bin/node`)
  const version = launch(node, ['--version'])
  expect(await version.ended).toBe(0)
  expect(version.stdout()).toMatch(new RegExp(`^v${major}\\.`))
  for (const engine of ['native', 'onnxruntime']) {
    const run = launch(
      node,
      [cli, 'classify', '--json', '--engine', engine, join(projectRoot, 'models/photos/parrot.jpg')],
      { env: cleanEnvironment() },
    )
    expect(await run.ended, run.stderr()).toBe(0)
    expect(jsonLines(run.stdout())).toMatchObject([{ engine, top: [{ label: 'macaw' }, {}, {}, {}, {}] }])
    expect(run.stderr()).not.toMatch(/Warning/)
  }
})
