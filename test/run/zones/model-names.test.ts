/** Names that zones can use: entries of the configuration, and what is installed in the state directory. */
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { installBundle } from '../../../src/bundle/install.js'
import { openBundleStore } from '../../../src/bundle/store.js'
import { loadConfig } from '../../../src/config/config.js'
import { modelNames } from '../../../src/run/zones/model-names.js'
import { freshFolder, makeBundle } from '../../bundle/bundles.js'

const config = (models: unknown) => loadConfig({ flags: {}, environment: {}, values: { models } }).config

it('are the entries of models and the installed bundles, without what is kept but serves nothing', async () => {
  const folder = freshFolder()
  const models = { gate: { path: join(folder, 'gate.onnx') } }
  expect(await modelNames(config(models), folder)).toEqual(['gate'])
  const { file } = await makeBundle(folder)
  const store = openBundleStore(folder)
  await installBundle(file, { store, trust: { keys: [], revoked: [] }, origin: 'local', isShadow: false, engine: {} })
  for (const name of ['taught/empty', 'galleries/empty']) mkdirSync(join(folder, name), { recursive: true })
  writeFileSync(join(folder, 'taught/empty/record.json'), '{ "cut": ')
  expect(await modelNames(config(models), folder)).toEqual(['gate', 'small'])
})
