/** A head that is taught picture by picture on a small network: fits, faults of the disk at each write, undo, another network. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import sharp from 'sharp'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { openTaughtHead, type TaughtHead } from '../../src/teach/taught-head.js'
import { openTeacher, type Teacher } from '../../src/teach/teacher.js'
import { projectRoot } from '../shared.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-taught-'))
const model = join(projectRoot, 'models/convnet-gap.onnx')
let teacher: Teacher
beforeAll(async () => {
  teacher = await openTeacher({ model, engine: { threads: 1, inputSize: { height: 32, width: 32 } } })
})
afterAll(async () => {
  await teacher.close()
  rmSync(folder, { recursive: true, force: true })
})

let number = 0
/** A picture whose upper or lower half is bright; each is another one. */
function picture(state: string): Promise<Buffer> {
  number++
  const data = Uint8Array.from({ length: 40 * 40 * 3 }, (_, i) => {
    const isBright = i < 40 * 40 * 1.5 === (state === 'upper')
    return (isBright ? 180 : 50) + ((i * (number + 3)) % 29) + (i < 9 ? number % 40 : 0)
  })
  return sharp(data, { raw: { width: 40, height: 40, channels: 3 } })
    .png()
    .toBuffer()
}

async function taught(name: string, pictures = 3): Promise<TaughtHead> {
  const head = await openTaughtHead(folder, name)
  for (let i = 0; i < pictures; i++)
    for (const state of ['upper', 'lower']) await head.add(state, await picture(state), null)
  await head.fit(teacher)
  return head
}

/** What is wrong while a write fails. */
const faults: Readonly<Record<string, (head: string) => () => void>> = {
  'of the picture': (head) => replaced(join(head, 'pictures')),
  'of the head': (head) => replaced(join(head, 'heads')),
  'of the record': (head) => {
    const fresh = join(head, `record.json.${process.pid}.new`)
    mkdirSync(fresh)
    return () => rmSync(fresh, { recursive: true, force: true })
  },
}

/** A file in place of a folder; returns how to put it back. */
function replaced(path: string): () => void {
  renameSync(path, `${path}.away`)
  writeFileSync(path, '')
  return () => {
    rmSync(path)
    renameSync(`${path}.away`, path)
  }
}

it.each(Object.entries(faults))(
  'a write %s that fails leaves the old head with its old pictures',
  async (name, fault) => {
    const head = await taught(name.replaceAll(' ', '-'))
    const before = (await openTaughtHead(folder, head.store.name)).record
    const mend = fault(head.store.folder)
    const change = async (): Promise<void> => {
      await head.add('upper', await picture('upper'), null)
      await head.fit(teacher)
    }
    await expect(change()).rejects.toMatchObject({ code: 'HEAD_NOT_WRITTEN' })
    mend()
    const after = (await openTaughtHead(folder, head.store.name)).record
    expect(after.served).toEqual(before.served)
    expect(existsSync(head.store.headFile(after.served!.head))).toBe(true)
    const classifier = await teacher.serve(head.store.headFile(after.served!.head), 'served')
    expect(classifier.labels).toEqual(['upper', 'lower'])
    await classifier.close()
    await change()
    expect(head.record.served!.head).not.toBe(before.served!.head)
  },
)

it('undoing takes back pictures that were not fitted, then the last head, and once more brings it back', async () => {
  const head = await taught('undone')
  const first = head.record.served!
  await head.add('upper', await picture('upper'), null)
  await head.undo()
  expect(head.record.pictures).toEqual(first.pictures)
  await head.add('lower', await picture('lower'), null)
  const second = await head.fit(teacher)
  await head.undo()
  expect(head.record.served!.head).toBe(first.head)
  await head.undo()
  expect(head.record).toMatchObject({ served: { head: second.head }, pictures: second.pictures })
})

it('another network gets vectors of its own, and refuses the head of the one before with the reason', async () => {
  const head = await taught('moved')
  const other = await openTeacher({ model, engine: { threads: 1, inputSize: { height: 64, width: 64 } } })
  try {
    await head.fit(other)
    const networks = readdirSync(join(head.store.folder, 'vectors')).map((file) => file.split('.')[1])
    expect(new Set(networks)).toEqual(new Set([teacher.network, other.network]))
    expect(head.record.served!.model.width).toBe(64)
  } finally {
    await other.close()
  }
})

it('two people who teach at once lose nothing', async () => {
  await taught('shared')
  const [one, two] = [await openTaughtHead(folder, 'shared'), await openTaughtHead(folder, 'shared')]
  const added = [
    await one.add('upper', await picture('upper'), null),
    await two.add('lower', await picture('lower'), null),
  ]
  await Promise.all([one.fit(teacher), two.fit(teacher)])
  const { pictures, served } = (await openTaughtHead(folder, 'shared')).record
  expect(pictures).toHaveLength(8)
  expect(pictures).toEqual(expect.arrayContaining(added))
  expect(served!.pictures).toHaveLength(8)
})

it('one state is no question, and a state keeps its hundred newest pictures', async () => {
  const head = await openTaughtHead(folder, 'many')
  for (let i = 0; i < 102; i++) await head.add('upper', await picture('upper'), i)
  await expect(head.fit(teacher)).rejects.toThrow(/one state cannot be told/)
  expect(head.record.pictures.map(({ atMs }) => atMs)).toEqual(Array.from({ length: 100 }, (_, i) => i + 2))
})

it('teaching and undoing again and again leaves no more files than once', async () => {
  const head = await taught('soaked')
  const files = (): number =>
    readdirSync(head.store.folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).length
  const counts: number[] = []
  for (let i = 0; i < 12; i++) {
    await head.add('upper', await picture('upper'), null)
    await head.fit(teacher)
    await head.undo()
    counts.push(files())
  }
  expect(Math.max(...counts.slice(2))).toBeLessThanOrEqual(counts[1]!)
})
