/** Orders about bundles over a real broker, to a node that runs: what it installs, from where, and what it then says. */
import { mkdirSync, copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { installBundle } from '../../../src/bundle/install.js'
import { confirmed } from '../../../src/bundle/phases.js'
import { openBundleStore } from '../../../src/bundle/store.js'
import { freshFolder, makeBundle, makeKey, photo } from '../../bundle/bundles.js'
import { endAll, gapcam, type Running } from '../../process.js'
import { connectClient, type Client } from '../../publish/client.js'
import { cleanUp, startMosquitto } from '../../publish/mosquitto.js'

const root = 'gapcam/gate'
const folder = freshFolder()
const shelf = join(folder, 'shelf')
const key = makeKey(folder, 'maker')
let client: Client
let run: Running
let unsigned: { readonly file: string; readonly digest: string }

interface Said {
  readonly state: string
  readonly installed: { readonly version: string } | null
  readonly candidate: { readonly version: string } | null
}
const said = (): Said => JSON.parse(client.last(`${root}/bundle`) || '{}') as Said
const order = (kind: string, fields: object = {}) => client.ask(root, kind, { ...fields })
const patient = { timeout: 60_000 }

beforeAll(async () => {
  mkdirSync(shelf)
  const first = await makeBundle(folder, { version: '1.0.0', key: key.secret })
  await makeBundle(shelf, { version: '1.1.0', key: key.secret })
  unsigned = await makeBundle(folder, { version: '1.2.0' })
  const store = openBundleStore(join(folder, 'state', 'gate'))
  const trust = { keys: [], revoked: [] }
  const { entry } = await installBundle(first.file, { store, trust, origin: 'local', isShadow: false, engine: {} })
  await store.replace('small', confirmed(entry, 'small'))

  const broker = await startMosquitto()
  client = await connectClient(broker.url)
  const models = { trust: [key.open], sources: [shelf], shadow: { every: 1, budget: 1 } }
  const rule = { after: '1s', agreement: 0.97, noSlower: 100 }
  const settings = [
    ...['node=gate', 'model=small', `stateDir=${join(folder, 'state')}`, 'page.enabled=false'],
    `models=${JSON.stringify({ ...models, confirm: rule })}`,
  ]
  run = gapcam([
    ...['run', photo, '--loop', '--fps', '25', '--json', '--broker', broker.url],
    ...settings.flatMap((text) => ['--set', text]),
  ])
}, 60_000)
afterAll(async () => {
  await client.close()
  await endAll()
  await cleanUp()
})

it('says what is installed, and offers the newest bundle of its sources to Home Assistant', async () => {
  await client.sees(`${root}/model`, /"latest_version":"1\.1\.0"/)
  await client.sees(`${root}/bundle`, /"state":"settled"/)
  expect(JSON.parse(client.last(`${root}/model`))).toMatchObject({
    installed_version: '1.0.0',
    latest_version: '1.1.0',
  })
  expect(said()).toMatchObject({ name: 'small', state: 'settled', installed: { version: '1.0.0' }, candidate: null })
})

it.each([
  ['an address', { name: 'https://models.example/a.gapcam' }, 'must consist of a-z, 0-9 and -'],
  [
    'a digest that no source has',
    { name: 'small', digest: '0'.repeat(64) },
    'no source has a bundle small with the digest',
  ],
  ['a name that no source has', { name: 'other' }, 'no source has a bundle other'],
])('refuses to install %s', async (_, fields, sentence) => {
  expect(await order('model_install', fields)).toMatchObject({
    status: 'error',
    code: 'invalid',
    error: expect.stringContaining(sentence),
  })
})

it('refuses a bundle without a trusted signature, whoever orders it', async () => {
  copyFileSync(unsigned.file, join(shelf, 'unsigned.gapcam'))
  expect(await order('model_install', { name: 'small', digest: unsigned.digest })).toMatchObject({
    status: 'error',
    error: expect.stringContaining('is not signed'),
  })
  expect(said()).toMatchObject({ state: 'settled', installed: { version: '1.0.0' }, candidate: null })
})

it('takes the newest bundle that is signed, compares it, lets it serve by the rule, and settles or goes back as it is told', async () => {
  // The unsigned bundle of the test before is newer.
  expect(await order('model_install', { name: 'small', digest: 'latest' })).toMatchObject({
    status: 'ok',
    data: {
      state: 'shadow',
      candidate: { version: '1.1.0' },
      passed_over: [expect.stringMatching(/unsigned\.gapcam is not signed/)],
    },
  })
  await run.until(/the candidate serves from now on, as models\.confirm says/, 90_000)
  await expect.poll(said, patient).toMatchObject({ state: 'probation', installed: { version: '1.1.0' } })
  // The node starts again with the other bundle; then its commands are there again.
  await client.sees(`${root}/model`, /"installed_version":"1\.1\.0"/)
  expect(await order('model_confirm')).toMatchObject({ status: 'ok', data: { state: 'settled' } })
  expect(await order('model_confirm')).toMatchObject({
    status: 'error',
    code: 'invalid',
    error: 'nothing of small waits for a confirmation',
  })
  expect(await order('model_rollback')).toMatchObject({ data: { state: 'settled', installed: { version: '1.0.0' } } })
  await client.sees(`${root}/model`, /"installed_version":"1\.0\.0"/)
  expect(await order('model_rollback')).toMatchObject({
    status: 'error',
    error: 'there is no bundle before small 1.0.0 to go back to',
  })
}, 180_000)
