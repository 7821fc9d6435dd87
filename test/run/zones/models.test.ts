/** The models of zones: names, and who shares one. */
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openClassifier, type Classifier } from '../../../src/classifier.js'
import { loadConfig } from '../../../src/config/config.js'
import { createLogger } from '../../../src/log.js'
import { openModels, type Models } from '../../../src/run/zones/models.js'
import { preparedFor } from '../../../src/run/zones/prepared.js'
import type { KeptLesson } from '../../../src/teach/record.js'
import { openHeadStore } from '../../../src/teach/store.js'
import { zonesOf } from '../../../src/zone/definition.js'
import { projectRoot } from '../../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-models-'))
const gap = join(projectRoot, 'models/convnet-gap.onnx')
const flat = join(projectRoot, 'models/convnet-flatten.onnx')
let own: Classifier
let models: Models
beforeAll(async () => {
  own = await openClassifier({ model: gap, threads: 1 })
  const values = { model: gap, threads: 1, models: { flat: { path: flat }, gate: { path: flat } } }
  const { config } = loadConfig({ flags: {}, environment: {}, values })
  models = openModels(config, own, createLogger('silent'), folder)
})
afterAll(async () => {
  await models.close()
  await own.close()
  rmSync(folder, { recursive: true, force: true })
})

it('zones of one file share one model, whether they name it or give its path; the last one closes it', async () => {
  const [named, given, same] = [await models.lease('flat'), await models.lease(flat), await models.lease(gap)]
  expect(given.classifier).toBe(named.classifier)
  expect(same.classifier).toBe(own)
  await named.release()
  await given.release()
  const again = await models.lease('flat')
  expect(again.classifier).not.toBe(named.classifier)
  await again.release()
})

it('a zone that asks for the embedding has a model that gives it', async () => {
  for (const name of [undefined, 'flat', gap]) {
    const [plain, wanted] = [await models.lease(name), await models.lease(name, { embedding: true })]
    expect('reason' in plain.classifier.embedding).toBe(true)
    expect('read' in wanted.classifier.embedding).toBe(true)
    await wanted.release()
    await plain.release()
  }
})

it('a zone that looks at clips shares the model with others that look alike', async () => {
  const clip = { frames: 4 }
  const [one, same, other] = [
    await models.lease(undefined, { task: 'video', clip }),
    await models.lease(undefined, { task: 'video', clip }),
    await models.lease(undefined, { task: 'video', clip: { frames: 5 } }),
  ]
  expect(one.classifier).toMatchObject({ path: gap, task: 'video', clip: { frames: 4, everyMs: 100 } })
  expect(same.classifier).toBe(one.classifier)
  expect(other.classifier).not.toBe(one.classifier)
  expect((await models.lease(undefined, { task: 'classify' })).classifier).toBe(own)
  for (const lease of [one, same, other]) await lease.release()
})

it.each([
  [
    { task: 'video', video: { frames: 4 }, trigger: 'motion' },
    /^trigger: a zone that looks at clips \(video: the mean of its vector over 4 pictures, .*\) needs all of their frames/,
  ],
  [{ video: { frames: 4 } }, /^video: its model looks at single pictures .*; write task: video, or leave video out$/],
  [{ task: 'detect' }, /^task: detect was asked for, and its model has the task classify/],
])('a zone that cannot look as %j says why', async (keys, sentence) => {
  const cameras = [{ id: 'cam0', source: 'test://', zones: [{ id: 'door', ...keys }] }]
  const { config } = loadConfig({ flags: {}, environment: {}, values: { cameras } })
  const [definition] = zonesOf(config.cameras[0]!)
  const prepared = await preparedFor(models, definition!)
  expect('fault' in prepared && prepared.fault).toMatch(sentence)
})

it('a name that is none has its nearest in the sentence', async () => {
  await expect(models.lease('flatt')).rejects.toThrow('there is no model flatt; did you mean flat?')
})

it('an installed bundle has the name under which it was installed', async () => {
  const digest = 'a'.repeat(64)
  const slot = join(folder, 'bundles/slots', digest)
  mkdirSync(slot, { recursive: true })
  copyFileSync(flat, join(slot, 'model.onnx'))
  const serving = { digest, version: '1', model: 'model.onnx', installedAt: '' }
  const entry = { serving, other: null, phase: 'settled', rejected: [], starts: 0, fault: null }
  const pointer = { format: 1, bundles: { packed: entry, flat: entry } }
  writeFileSync(join(folder, 'bundles/pointer.json'), JSON.stringify(pointer))
  const lease = await models.lease('packed')
  expect(lease.classifier.path).toBe(join(slot, 'model.onnx'))
  await lease.release()
  await expect(models.lease('flat')).rejects.toThrow('there are two models flat: an entry of models, and an installed')
  rmSync(join(folder, 'bundles'), { recursive: true })
})

it('an entry of the configuration and a taught head of one name are an error', async () => {
  const store = await openHeadStore(folder, 'gate')
  const usual = { distance: 0, score: 1, sight: [0, 0, 0] }
  const model = { name: 'own', sha256: '0'.repeat(64), width: 32, height: 32 }
  const served = { states: ['open'], pictures: [], head: '1'.repeat(64), model, fittedMs: 0, answers: {}, usual }
  const report = { pictures: {}, accuracy: null, interval: null, groups: 0, confusion: {}, weakest: null, doubts: [] }
  const lesson = { ...served, report: { ...report, enough: false, advice: '' } } as KeptLesson
  await store.change((record) => ({ ...record, served: lesson }))
  await expect(models.lease('gate')).rejects.toThrow(
    'there are two models gate: an entry of models, and a taught head; give one of them another name',
  )
})
