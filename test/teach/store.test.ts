import { existsSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { withoutPicture, withPicture } from '../../src/teach/record.js'
import { openHeadStore, removeHead, type HeadStore } from '../../src/teach/store.js'

const folder = mkdtempSync(join(tmpdir(), 'gapcam-store-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

async function withTwo(name: string): Promise<{ store: HeadStore; ids: readonly string[] }> {
  const store = await openHeadStore(folder, name)
  const ids: string[] = []
  for (const state of ['open', 'closed']) {
    const id = await store.keepPicture(Buffer.from(`picture of ${state}`))
    await store.change((record) => withPicture(record, { id, state, atMs: null }))
    ids.push(id)
  }
  return { store, ids }
}

it('pictures and states are there when the store is opened again', async () => {
  const { store, ids } = await withTwo('kept')
  const again = await openHeadStore(folder, 'kept')
  expect(again.record).toEqual(store.record)
  expect(again.record).toMatchObject({ revision: 2, states: ['open', 'closed'] })
  expect((await again.picture(ids[1]!)).toString()).toBe('picture of closed')
})

it('two stores of one head see the changes of each other', async () => {
  const { store, ids } = await withTwo('shared')
  const other = await openHeadStore(folder, 'shared')
  await store.change((record) => withoutPicture(record, ids[0]!))
  const id = await other.keepPicture(Buffer.from('a third picture'))
  await other.change((record) => withPicture(record, { id, state: 'ajar', atMs: null }))
  expect((await store.refresh()).states).toEqual(['closed', 'ajar'])
})

it('a removed picture is gone at once, and strays when they are old', async () => {
  const { store, ids } = await withTwo('strays')
  const pictures = join(store.folder, 'pictures')
  for (const [name, age] of [
    ['fresh', 0],
    ['old', 120],
  ] as const) {
    writeFileSync(join(pictures, name), '')
    utimesSync(join(pictures, name), Date.now() / 1000 - age, Date.now() / 1000 - age)
  }
  await store.change((record) => withoutPicture(record, ids[0]!))
  expect(readdirSync(pictures).sort()).toEqual([ids[1], 'fresh'].sort())
})

it('a damaged record is told and never overwritten', async () => {
  const { store } = await withTwo('damaged')
  writeFileSync(join(store.folder, 'record.json'), '{"version":1,')
  await expect(openHeadStore(folder, 'damaged')).rejects.toThrow(/record.json is damaged/)
  await expect(store.change((record) => ({ ...record, states: [] }))).rejects.toMatchObject({ code: 'HEAD_INVALID' })
})

it('a removed head leaves no file', async () => {
  await withTwo('removed')
  await removeHead(folder, 'removed')
  expect(existsSync(join(folder, 'taught', 'removed'))).toBe(false)
})
