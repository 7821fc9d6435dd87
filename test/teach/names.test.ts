import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { folderOf, headNameOf, headsIn, nameFault, stateFault, stateOfFolder } from '../../src/teach/names.js'

it.each(['fit', 'test', 'list', 'undo', 'export', 'import', 'remove', 'unknown', '', '../gate', 'a b', 'x'.repeat(65)])(
  'no head is called %s',
  (name) => expect(nameFault(name)).not.toBeNull(),
)

it('a zone whose key is longer than a name has a head of its own all the same', () => {
  const zone = (last: string): string => `${'c'.repeat(64)}/${'z'.repeat(63)}${last}`
  expect(headNameOf('porch/gate')).toBe('porch_gate')
  expect(nameFault(headNameOf(zone('a')))).toBeNull()
  expect(headNameOf(zone('a'))).not.toBe(headNameOf(zone('b')))
})

it.each(['', ' x', 'x\ty', 'unknown', 'x'.repeat(300)])('no state is called %j', (state) =>
  expect(stateFault(state)).not.toBeNull(),
)

it.each(['open', '../../etc', '.', '..', '%none', 'a/b', '🐈', 'x'.repeat(64), 'half open'])(
  'the folder of state %j lies in the export, and leads back to the state',
  (state) => {
    expect(stateFault(state)).toBeNull()
    expect(folderOf(state)).toMatch(/^[^./\\][^/\\]*$/)
    expect(stateOfFolder(folderOf(state))).toBe(state)
  },
)

it('heads are the folders with a record, in order of name', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'gapcam-names-'))
  for (const [name, file] of [
    ['porch', 'record.json'],
    ['gate', 'record.json'],
    ['half', 'other.json'],
    ['fit', 'record.json'],
  ] as const) {
    mkdirSync(join(folder, 'taught', name), { recursive: true })
    writeFileSync(join(folder, 'taught', name, file), '{}')
  }
  expect(await headsIn(folder)).toEqual(['gate', 'porch'])
  expect(await headsIn(join(folder, 'nowhere'))).toEqual([])
  rmSync(folder, { recursive: true })
})
