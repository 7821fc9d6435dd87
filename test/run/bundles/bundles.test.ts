/** A node and its bundles: starts on probation are counted over real processes, and faults roll back. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { installBundle } from '../../../src/bundle/install.js'
import { confirmed, type Slot } from '../../../src/bundle/phases.js'
import { openBundleStore, type BundleStore } from '../../../src/bundle/store.js'
import { openClassifier } from '../../../src/classifier.js'
import { loadConfig } from '../../../src/config/config.js'
import type { Config } from '../../../src/config/schema.js'
import { GapcamError } from '../../../src/errors.js'
import { hangFileOf, openNodeBundles, type NodeBundles } from '../../../src/run/bundles/bundles.js'
import { freshFolder, makeBundle } from '../../bundle/bundles.js'

let files: { readonly good: string; readonly next: string }
let stateDir: string
let config: Config
let store: BundleStore
const said: string[] = []
const log = { warn: (...words: unknown[]) => void said.push(String(words.at(-1))), info: () => undefined }
const open: NodeBundles[] = []

beforeAll(async () => {
  const folder = freshFolder()
  files = {
    good: (await makeBundle(folder, { version: '1.0.0' })).file,
    next: (await makeBundle(folder, { version: '2.0.0' })).file,
  }
})

const install = (file: string) =>
  installBundle(file, { store, trust: { keys: [], revoked: [] }, origin: 'local', isShadow: false, engine: {} })

/** A node whose confirmed bundle 1.0.0 was followed by 2.0.0, on probation. */
async function onProbation(): Promise<void> {
  stateDir = freshFolder()
  config = loadConfig({ flags: { model: 'small', stateDir, node: 'n' }, environment: {} }).config
  store = openBundleStore(join(stateDir, 'n'))
  const { entry } = await install(files.good)
  await store.replace('small', confirmed(entry, 'small'))
  await install(files.next)
  said.length = 0
}

/** A start; without `close` it ends as a killed process does. */
async function start(): Promise<NodeBundles> {
  const bundles = await openNodeBundles(config, log)
  open.push(bundles)
  return bundles
}

const serving = (): string | undefined => store.entries()['small']?.serving?.version
afterEach(async () => {
  for (const bundles of open.splice(0)) await bundles.close()
})

describe('starts on probation', () => {
  it('three that end by a fault roll back at the next start, and the log says so', async () => {
    await onProbation()
    for (let i = 0; i < 3; i++) await start()
    expect(serving()).toBe('2.0.0')
    await start()
    expect(serving()).toBe('1.0.0')
    expect(said.join()).toContain('small 2.0.0 is rolled back to 1.0.0: 3 starts in a row ended by a fault')
  })

  it('orderly ends do not count, nor do faults of cameras and brokers', async () => {
    await onProbation()
    for (let i = 0; i < 8; i++) {
      const bundles = await start()
      if (i % 2 === 0) bundles.failed(new GapcamError('CAMERA_NOT_FOUND', 'no camera'))
      await bundles.close()
    }
    expect(serving()).toBe('2.0.0')
  })

  it('runs that failed by the engine do count', async () => {
    await onProbation()
    for (let i = 0; i < 4; i++) {
      const bundles = await start()
      bundles.failed(new GapcamError('ENGINE_FAILED', 'it failed'))
      await bundles.close()
    }
    expect(serving()).toBe('1.0.0')
  })

  it("the watchdog's mark rolls back at the next start, once", async () => {
    await onProbation()
    writeFileSync(hangFileOf(config), '')
    await (await start()).close()
    expect([serving(), existsSync(hangFileOf(config))]).toEqual(['1.0.0', false])
  })
})

/** Expects other scores of the golden picture. */
function alterScores(slot: Slot): void {
  const file = join(store.placeOf(slot), 'manifest.json')
  writeFileSync(file, readFileSync(file, 'utf8').replace(/"score": [\d.]+/, '"score": 0.99999'))
}

describe('the model of a bundle on probation', () => {
  it.each([
    // What another engine would do at this start: the same picture has other scores.
    ['whose golden pictures fail at a start', 'golden/1.jpg', alterScores],
    ['that cannot be opened', 'small', (slot: Slot) => writeFileSync(store.modelOf(slot), 'damaged')],
  ])('%s is rolled back, and the one before is opened', async (_, fault, damage) => {
    await onProbation()
    damage(store.entries()['small']!.serving!)
    const bundles = await start()
    const paths: string[] = []
    const classifier = await bundles.open(() => {
      const model = store.serving('small')!
      paths.push(model)
      return openClassifier({ model })
    })
    await classifier.close()
    expect([paths.length, serving()]).toEqual([2, '1.0.0'])
    expect(store.entries()['small']?.fault).toContain(fault)
  })

  it('a pointer that the disk has damaged is put aside, and the node goes on', async () => {
    await onProbation()
    writeFileSync(join(store.folder, 'pointer.json'), '{"format":1,')
    const bundles = await start()
    expect(bundles.entry('small')).toBeUndefined()
    expect(existsSync(join(store.folder, 'pointer.json.damaged'))).toBe(true)
    expect(said.join()).toContain('no bundle serves')
  })
})

it('a running node hears that another bundle is to serve', async () => {
  await onProbation()
  const bundles = await start()
  const heard = new Promise<boolean>((resolve) => bundles.watch(resolve))
  await store.replace('small', { ...store.entries()['small']!, serving: null })
  expect(await heard).toBe(true)
})

it('a state directory without bundles costs nothing and creates nothing', async () => {
  const folder = freshFolder()
  mkdirSync(join(folder, 'n'))
  config = loadConfig({ flags: { stateDir: folder, node: 'n' }, environment: {} }).config
  await (await start()).close()
  expect(existsSync(join(folder, 'n', 'bundles'))).toBe(false)
})
