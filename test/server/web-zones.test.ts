/** What the page decides about zones by itself: regions while they are edited, settings that two people change, names. */
import { describe, expect, it } from 'vitest'
import { boundsOf, isPolygon, type Shape } from '../../src/pixels/shape.js'
import { Drafts } from '../../src/server/web/zones/drafts.js'
import { edited, fieldOfFault, patchOf, rebased, startEdits } from '../../src/server/web/zones/edits.js'
import { freeId } from '../../src/server/web/zones/names.js'
import { faultOf, moved, withCorner, withCornerAfter, withoutCorner } from '../../src/server/web/zones/outline.js'
import { Random } from '../random.js'

const box: Shape = { x: 0.2, y: 0.2, width: 0.3, height: 0.4 }
const polygon = [
  [0.1, 0.1],
  [0.5, 0.1],
  [0.5, 0.5],
  [0.1, 0.5],
] as const

describe('a region that is edited', () => {
  it('keeps its form when it is moved, and stays inside the picture', () => {
    const random = new Random(5)
    for (let i = 0; i < 200; i++) {
      const [dx, dy] = [random.next() * 4 - 2, random.next() * 4 - 2]
      for (const shape of [box, polygon]) {
        const before = boundsOf(shape)
        const next = moved(shape, dx, dy)
        expect(faultOf(next)).toBeNull()
        expect(boundsOf(next).width).toBeCloseTo(before.width, 2)
        expect(boundsOf(next).height).toBeCloseTo(before.height, 2)
        expect(isPolygon(next)).toBe(isPolygon(shape))
      }
    }
  })

  it('a rectangle keeps its opposite corner, and never becomes empty or turns inside out', () => {
    expect(withCorner(box, 0, [0.1, 0.3])).toEqual({ x: 0.1, y: 0.3, width: 0.4, height: 0.3 })
    expect(withCorner(box, 1, [0.6, 0.1])).toEqual({ x: 0.2, y: 0.1, width: 0.4, height: 0.5 })
    expect(withCorner(box, 2, [2, 2])).toEqual({ x: 0.2, y: 0.2, width: 0.8, height: 0.8 })
    expect(withCorner(box, 3, [0.9, 0.3])).toEqual({ x: 0.48, y: 0.2, width: 0.02, height: 0.1 })
  })

  it('a polygon gets and loses corners, down to a triangle', () => {
    const five = withCornerAfter(polygon, 3)
    expect(five[4]).toEqual([0.1, 0.3])
    expect(withoutCorner(five, 4)).toEqual(polygon)
    const triangle = withoutCorner(polygon, 0)
    expect(withoutCorner(triangle, 0)).toEqual(triangle)
  })

  it('a polygon that crosses itself has a fault', () => {
    expect(faultOf(withCorner(polygon, 0, [0.9, 0.3]))).toMatch(/must not cross itself/)
  })
})

const zone = (revision: string, values: Record<string, unknown>) => ({ id: 'gate', revision, values })

describe('settings that two people change', () => {
  const start = startEdits(zone('a', { name: 'Gate', policy: { margin: 0.1, consecutive: 2 } }))

  it('a setting that only others change is taken over', () => {
    const mine = edited(start, 'name', 'Door')
    const next = rebased(mine, zone('b', { name: 'Gate', model: 'birds' }))
    expect(next).toMatchObject({ now: { model: 'birds' }, changed: { name: 'Door' }, elsewhere: [], revision: 'b' })
  })

  it('a setting that both change is told, and stays told until it is decided', () => {
    const mine = edited(start, 'name', 'Door')
    const told = rebased(rebased(mine, zone('b', { name: 'Barn' })), zone('c', { name: 'Barn', model: 'birds' }))
    expect(told).toMatchObject({ changed: { name: 'Door' }, elsewhere: ['name'] })
    expect(edited(told, 'name', 'Barn')).toMatchObject({ changed: {}, elsewhere: [] })
    // Others set what the user wanted.
    expect(rebased(told, zone('d', { name: 'Door' }))).toMatchObject({ changed: {}, elsewhere: [] })
  })

  it('only what was changed is sent; the other options of the policy are kept', () => {
    const changed = edited(edited(start, 'consecutive', 4), 'name', undefined)
    expect(patchOf(changed, { policy: { margin: 0.1, consecutive: 2 } })).toEqual({
      values: { name: null, policy: { margin: 0.1, consecutive: 4 } },
    })
    expect(patchOf(edited(start, 'consecutive', undefined), { policy: { consecutive: 2 } })).toEqual({
      values: { policy: null },
    })
    expect(patchOf(edited(start, 'id', 'door'), {})).toEqual({ values: {}, rename: 'door' })
  })

  it.each([
    ['policy.consecutive: must be at least 1', 'consecutive'],
    ['trigger.cron: 1 2: has too few parts', 'trigger'],
    ['there is a zone bin already', 'id'],
    ['id: must consist of a-z, 0-9 and -', 'id'],
    ['the disk is full', null],
  ])('%s belongs to the field %s', (sentence, field) => {
    expect(fieldOfFault(sentence)).toBe(field)
  })
})

describe('regions on their way', () => {
  /** A zone as the program keeps it: each write makes a new revision and must name the one before. */
  function program() {
    let revision = 0
    return {
      write: (_: string, __: Shape, given: string) =>
        given === `r${revision}` ? Promise.resolve(`r${++revision}`) : Promise.reject(new Error('changed meanwhile')),
      byOthers: () => `r${++revision}`,
    }
  }
  const gate = (revision: string) => ({ id: 'gate', revision })

  it('changes that follow faster than the state are not taken for those of others', async () => {
    const drafts = new Drafts(program().write)
    for (const x of [0.1, 0.2, 0.3]) {
      drafts.drag(gate('r0'), { ...box, x })
      await drafts.keep(drafts.take()!)
    }
    drafts.update([gate('r1')])
    expect(drafts.shapeOf(gate('r1'))).toMatchObject({ x: 0.3 })
    drafts.update([gate('r3')])
    expect(drafts.shapeOf(gate('r3'))).toBeNull()
  })

  it('a state that comes during a drag does not take the change back', async () => {
    const drafts = new Drafts(program().write)
    drafts.drag(gate('r0'), { ...box, x: 0.1 })
    await drafts.keep(drafts.take()!)
    drafts.drag(gate('r0'), { ...box, x: 0.2 })
    drafts.update([gate('r1')])
    drafts.drag(gate('r1'), { ...box, x: 0.3 })
    const last = drafts.take()
    expect(last).toMatchObject({ shape: { x: 0.3 } })
    await expect(drafts.keep(last!)).resolves.toBeUndefined()
  })

  it('changes that begin while one is on its way follow it', async () => {
    const drafts = new Drafts(program().write)
    const kept = [0.1, 0.2].map((x) => {
      drafts.drag(gate('r0'), { ...box, x })
      return drafts.keep(drafts.take()!)
    })
    await expect(Promise.all(kept)).resolves.toHaveLength(2)
  })

  it('a change by others in between is refused, and the zone has its own region again', async () => {
    const { write, byOthers } = program()
    const drafts = new Drafts(write)
    drafts.drag(gate('r0'), { ...box, x: 0.4 })
    byOthers()
    await expect(drafts.keep(drafts.take()!)).rejects.toThrow('changed meanwhile')
    expect(drafts.shapeOf(gate('r1'))).toBeNull()
  })
})

it.each([
  ['Garden gate', 'garden-gate'],
  ['  Tür & Tor ', 'tur-tor'],
  ['门', 'zone'],
  ['bin', 'bin-3'],
  ['x'.repeat(90), 'x'.repeat(58)],
])('the name in topics of %s is %s', (name, id) => {
  expect(freeId(name, [{ id: 'bin' }, { id: 'bin-2' }])).toBe(id)
})
