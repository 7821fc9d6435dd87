import { expect, it } from 'vitest'
import { Steady } from '../../src/server/web/steady.js'

const [gate, door] = [{ key: 'cam0/gate' }, { key: 'cam0/door' }]

it('a zone that is missing for a moment stays in its place; one that is gone for longer goes', () => {
  const zones = new Steady<{ readonly key: string }>()
  expect(zones.update([gate, door], 0)).toEqual([gate, door])
  expect(zones.update([door], 1000)).toEqual([gate, door])
  expect(zones.update([door, gate], 2000)).toEqual([gate, door])
  expect(zones.update([door], 6000)).toEqual([gate, door])
  expect(zones.update([door], 7001)).toEqual([door])
})
