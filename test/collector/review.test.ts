/** Review: groups of real pictures, labels, export and import. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Review } from '../../src/collector/review.js'
import { PictureStore } from '../../src/collector/store.js'
import { Vectors } from '../../src/collector/vectors.js'
import { shippedModel } from '../../src/config/model.js'
import { projectRoot, sharedFolder } from '../shared.js'

const root = mkdtempSync(join(tmpdir(), 'gapcam-review-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const engine = { threads: 1 } as const

interface Opened {
  readonly store: PictureStore
  readonly review: Review
}
function open(name: string, maxBytes = 1e8): Opened {
  const store = new PictureStore({ folder: join(root, name), maxBytes })
  return { store, review: new Review({ store, vectors: new Vectors({ store, model: shippedModel, engine }), engine }) }
}
const keep = ({ store }: Opened, file: string, said = ''): Promise<string> =>
  store.keep(readFileSync(file), { zone: 'cam0', atMs: Date.now(), why: 'audit', said, score: 0.5 })

describe('labels', () => {
  const photos = join(projectRoot, 'models/photos')
  const files = readdirSync(photos)
    .filter((file) => file.endsWith('.jpg'))
    .slice(0, 3)
  let opened: Opened
  let names: string[]
  beforeAll(async () => {
    opened = open('labels')
    names = []
    for (const file of files) names.push(await keep(opened, join(photos, file), 'bird'))
    names.push(await keep(opened, join(photos, files[0]!), 'dog'))
  })
  afterAll(() => opened.review.close())

  it('go to a whole group, except to what was left out; nearly equal pictures are one', async () => {
    const { groups, waiting } = await opened.review.groups()
    expect(waiting).toBe(0)
    expect(groups.flatMap(({ pictures }) => pictures.flat())).toHaveLength(4)
    expect(groups.flatMap(({ pictures }) => pictures)).toContainEqual([
      expect.objectContaining({ name: names[0] }),
      expect.objectContaining({ name: names[3] }),
    ])
    const twins = groups.find(({ pictures }) => pictures.some(({ length }) => length === 2))!
    const except = twins.pictures.flat().filter(({ name }) => name !== names[0])
    expect(
      await opened.review.labelGroup(
        twins.id,
        'gate open',
        except.map(({ name }) => name),
      ),
    ).toBe(1)
    expect((await opened.review.list()).map(({ label }) => label)).toEqual(['gate open', null, null, null])
    expect(await opened.review.labelGroup('0000000000000000', 'x')).toBeNull()
  })

  it('survive export and import, and folders are named by them', async () => {
    await opened.review.label(names.slice(1, 3), '門 🚪')
    const folder = join(root, 'out')
    expect(await opened.review.export(folder)).toEqual({ pictures: 3, labels: 2, broken: [] })
    expect(readdirSync(folder).sort()).toEqual(['gate open', '門 🚪'].sort())
    writeFileSync(join(folder, 'gate open', 'notes.txt'), 'no picture')
    const other = open('imported')
    expect(await other.review.import(folder)).toEqual({
      pictures: 3,
      labels: 2,
      broken: [join(folder, 'gate open', 'notes.txt')],
    })
    expect((await other.review.list()).map(({ label }) => label).sort()).toEqual(['gate open', '門 🚪', '門 🚪'])
  })

  it.each(['', ' open', 'a/b', '..', 'unknown', 'x'.repeat(300), 'a\nb'])('refuse %j', async (label) => {
    await expect(opened.review.label(names, label)).rejects.toMatchObject({ code: 'USAGE' })
    await expect(
      opened.review.report(Buffer.alloc(4), { zone: '', atMs: 0, said: '', score: 0 }, label),
    ).rejects.toMatchObject({
      code: 'USAGE',
    })
  })

  it('and pictures are gone from the disk when they are discarded', async () => {
    await opened.review.discard([...names, '../../etc/passwd'])
    expect(readdirSync(opened.store.folder)).toEqual([])
  })

  it('a folder that is missing, and one whose name is no label, are refused in one sentence', async () => {
    await expect(opened.review.import(join(root, 'nowhere'))).rejects.toMatchObject({ code: 'PICTURE_INVALID' })
    mkdirSync(join(root, 'bad', '.hidden'), { recursive: true })
    await expect(opened.review.import(join(root, 'bad'))).rejects.toThrow(/folder .hidden cannot be a label/)
  })
})

const shared = sharedFolder()
const tasks = shared === null ? '' : join(shared, 'teach')
describe.skipIf(!existsSync(tasks))('pictures of fixed cameras (needs the shared folder)', () => {
  it('fall into at most twelve groups, nearly pure, the same each time', { timeout: 60_000 }, async () => {
    const opened = open('tasks')
    const sceneOf = new Map<string, string>()
    for (const scene of ['parking-spot', 'hive-entrance', 'screw', 'gas-meter', 'hand-digits', 'parts'])
      for (const state of readdirSync(join(tasks, scene)).slice(0, 2))
        for (const file of readdirSync(join(tasks, scene, state))
          .filter((_, i) => i % 3 === 0)
          .slice(0, 6))
          sceneOf.set(await keep(opened, join(tasks, scene, state, file)), scene)
    const { groups, waiting } = await opened.review.groups()
    await opened.review.close()
    const again = open('tasks')
    expect((await again.review.groups()).groups.map(({ id }) => id)).toEqual(groups.map(({ id }) => id))
    expect(waiting).toBe(0)
    expect(groups.length).toBeLessThanOrEqual(12)
    const right = groups.reduce((sum, { pictures }) => {
      const scenes = pictures.flat().map(({ name }) => sceneOf.get(name))
      return sum + Math.max(...[...new Set(scenes)].map((scene) => scenes.filter((each) => each === scene).length))
    }, 0)
    expect(right / sceneOf.size).toBeGreaterThanOrEqual(0.95)
    // A group is one click, and each picture that is wrong in it one more.
    expect(groups.length + sceneOf.size - right).toBeLessThanOrEqual(30)
  })
})
