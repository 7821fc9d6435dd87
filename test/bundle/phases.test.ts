/** From installed to confirmed or rolled back, over random histories. */
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  canRollBack,
  confirmed,
  endedWell,
  hung,
  installed,
  mostBadStarts,
  rolledBack,
  started,
  type Entry,
  type Slot,
} from '../../src/bundle/phases.js'

const slot = (digest: string): Slot => ({ digest, version: digest, model: 'm.onnx', installedAt: '' })
const install = (before: Entry | undefined, digest: string, isShadow = false, isBuiltIn = false): Entry =>
  installed(before, { name: 'gate', slot: slot(digest), isShadow, isBuiltIn })

describe('installed', () => {
  it('the first bundle of a name serves on probation, also where a shadow is wanted: nothing else serves', () => {
    expect(install(undefined, 'a', true)).toMatchObject({ serving: { digest: 'a' }, other: null, phase: 'probation' })
  })

  it('a shadow leaves the serving bundle, and a model that comes with gapcam, in place', () => {
    const served = confirmed(install(undefined, 'a'), 'gate')
    expect(install(served, 'b', true)).toMatchObject({
      serving: { digest: 'a' },
      other: { digest: 'b' },
      phase: 'shadow',
    })
    expect(install(undefined, 'b', true, true)).toMatchObject({
      serving: null,
      other: { digest: 'b' },
      phase: 'shadow',
    })
  })

  it('a second bundle on probation keeps the confirmed one to go back to', () => {
    const served = confirmed(install(undefined, 'a'), 'gate')
    const twice = install(install(served, 'b'), 'c')
    expect(twice).toMatchObject({ serving: { digest: 'c' }, other: { digest: 'a' }, phase: 'probation' })
  })

  it('the confirmed bundle that waits during a probation serves again, and is not kept twice', () => {
    const trial = install(confirmed(install(undefined, 'a'), 'gate'), 'b')
    expect(install(trial, 'a')).toMatchObject({ serving: { digest: 'a' }, other: null, phase: 'settled' })
  })

  it('a bundle that serves is not installed again, and no shadow begins on probation', () => {
    const first = install(undefined, 'a')
    expect(() => install(first, 'a')).toThrow('gate a serves already')
    expect(() => install(first, 'b', true)).toThrow('on probation')
  })
})

describe('started', () => {
  const onProbation = install(confirmed(install(undefined, 'a'), 'gate'), 'b')

  it(`${mostBadStarts} starts that end by a fault roll back at the next one`, () => {
    let entry = onProbation
    for (let i = 0; i < mostBadStarts; i++) entry = started(entry, 'gate', false)
    expect(entry.serving?.digest).toBe('b')
    entry = started(entry, 'gate', false)
    expect(entry).toMatchObject({ serving: { digest: 'a' }, phase: 'settled', rejected: ['b'] })
    expect(entry.fault).toContain('3 starts in a row')
  })

  it('a good run forgets the faults before it', () => {
    let entry = onProbation
    for (let i = 0; i < 20; i++) entry = endedWell(started(started(entry, 'gate', false), 'gate', false))
    expect(entry.serving?.digest).toBe('b')
  })

  it('a settled bundle, and one with nothing before it, stay', () => {
    let [settled, alone] = [confirmed(onProbation, 'gate'), install(undefined, 'a')]
    for (let i = 0; i < 10; i++) [settled, alone] = [started(settled, 'gate', false), started(alone, 'gate', false)]
    expect([settled.serving?.digest, alone.serving?.digest]).toEqual(['b', 'a'])
  })

  it('the watchdog rolls back at once, on probation only', () => {
    expect(hung(onProbation, 'gate', false).serving?.digest).toBe('a')
    const settled = confirmed(onProbation, 'gate')
    expect(hung(settled, 'gate', false)).toBe(settled)
  })
})

describe('rolledBack', () => {
  it('drops a candidate, goes back to the bundle before, or to the model that comes with gapcam', () => {
    const served = confirmed(install(undefined, 'a'), 'gate')
    const shadow = install(served, 'b', true)
    expect(rolledBack(shadow, 'gate', false, null)).toMatchObject({
      serving: { digest: 'a' },
      other: null,
      phase: 'settled',
    })
    expect(rolledBack(install(undefined, 'a'), 'gate', true, null)).toMatchObject({ serving: null, rejected: ['a'] })
  })

  it('says that there is nothing to go back to', () => {
    expect(() => rolledBack(install(undefined, 'a'), 'gate', false, null)).toThrow('no bundle before gate a')
    expect(() => rolledBack(undefined, 'gate', true, null)).toThrow('nothing of gate')
    expect(() => confirmed(undefined, 'gate')).toThrow('nothing of gate waits')
  })
})

it('over random histories a confirmed bundle is never lost to faults, and rollback works wherever it is offered', () => {
  const step = fc.oneof(
    fc.record({
      does: fc.constant('install' as const),
      digest: fc.constantFrom('a', 'b', 'c'),
      isShadow: fc.boolean(),
    }),
    fc
      .constantFrom('confirm' as const, 'rollback' as const, 'start' as const, 'hang' as const, 'good' as const)
      .map((does) => ({ does })),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), fc.boolean(), (steps, isBuiltIn) => {
      let entry: Entry | undefined
      for (const one of steps) {
        const before = entry
        try {
          if (one.does === 'install') entry = install(entry, one.digest, one.isShadow, isBuiltIn)
          else if (one.does === 'confirm') entry = confirmed(entry, 'gate')
          else if (one.does === 'rollback') entry = rolledBack(entry, 'gate', isBuiltIn, null)
          else if (entry && one.does === 'start') entry = started(entry, 'gate', isBuiltIn)
          else if (entry && one.does === 'hang') entry = hung(entry, 'gate', isBuiltIn)
          else if (entry) entry = endedWell(entry)
        } catch {
          if (one.does === 'rollback' && before) expect(canRollBack(before, isBuiltIn)).toBe(false)
        }
        // Something serves once something has served: by fault or by hand, no step takes the last model away.
        if (before?.serving && !isBuiltIn) expect(entry?.serving).not.toBeNull()
        if (entry?.serving && entry.phase === 'settled' && before?.phase === 'settled' && one.does !== 'rollback')
          expect(entry.serving).toBe(before.serving)
        if (entry?.other) expect(entry.other.digest).not.toBe(entry.serving?.digest)
      }
    }),
  )
})
